import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from wafergate.errors import ConfigError
from wafergate.settings import find_home, load_dashboard_settings, load_settings

pytestmark = pytest.mark.unit

OFFER = {
    "database_url": "postgresql://wafergate_app:a1@127.0.0.1:5001/wafergate",
    "database_admin_url": "postgresql://wafergate_owner:b2@127.0.0.1:5001/wafergate",
    "database_readonly_url": "postgresql://wafergate_dashboard:c3@127.0.0.1:5001/wafergate",
    "s3_endpoint": "127.0.0.1:5002",
    "s3_access_key": "key",
    "s3_secret_key": "embedded-secret",
    "s3_bucket": "wafergate",
    "s3_secure": "false",
    "s3_region": "us-east-1",
    "prefect_api_url": "http://127.0.0.1:4200/api",
    "prefect_ui_url": "http://127.0.0.1:4200",
}
ELSEWHERE = {
    "WAFERGATE_DATABASE_URL": "postgresql://app:x@db.example:5432/line",
    "WAFERGATE_DATABASE_ADMIN_URL": "postgresql://owner:y@db.example:5432/line",
    "WAFERGATE_DATABASE_READONLY_URL": "postgresql://reader:z@replica.example:5432/line",
    "WAFERGATE_S3_ENDPOINT": "s3.example",
    "WAFERGATE_S3_ACCESS_KEY": "AK",
    "WAFERGATE_S3_SECRET_KEY": "SK",
    "PREFECT_API_URL": "https://prefect.example/api",
}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / ".wafergate"
    folder.mkdir()
    (folder / "services.json").write_text(json.dumps({"version": 1, "settings": OFFER}))
    return folder


def test_home_is_the_one_the_environment_names(tmp_path):
    (tmp_path / ".wafergate").mkdir()
    assert find_home(tmp_path, {"WAFERGATE_HOME": str(tmp_path / "other")}) == tmp_path / "other"
    assert find_home(tmp_path, {"WAFERGATE_HOME": "relative"}) == tmp_path / "relative"


def test_home_is_the_nearest_upward_as_git_finds_its_own(tmp_path):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / ".wafergate").mkdir()
    (tmp_path / "a" / ".wafergate").mkdir()
    assert find_home(deep, {}) == tmp_path / "a" / ".wafergate"


def test_home_is_made_in_the_working_folder_where_there_is_none(tmp_path):
    assert find_home(tmp_path, {"WAFERGATE_HOME": ""}) == tmp_path / ".wafergate"


def test_embedded_services_alone_are_enough(home):
    settings = load_settings({}, home)
    assert settings.database_url.get_secret_value() == OFFER["database_url"]
    assert settings.s3_secure is False
    assert settings.cache_dir == home / "cache"
    assert settings.alert_urls == ()


def test_environment_alone_is_enough(tmp_path):
    settings = load_settings(ELSEWHERE, tmp_path / "absent")
    assert settings.s3_endpoint == "s3.example"
    assert settings.s3_secure is True
    assert settings.s3_bucket == "wafergate"
    assert settings.prefect_ui_url == "https://prefect.example"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("WAFERGATE_S3_BUCKET", "other-bucket", "s3_bucket"),
        ("WAFERGATE_S3_REGION", "eu-1", "s3_region"),
        ("WAFERGATE_DASK_SCHEDULER", "tcp://h:8786", "dask_scheduler"),
        ("PREFECT_UI_URL", "https://ui.example", "prefect_ui_url"),
    ],
)
def test_environment_overrides_one_value_and_leaves_the_others(home, name, value, field):
    before, after = load_settings({}, home).model_dump(), load_settings({name: value}, home).model_dump()
    assert after[field] == value
    assert {k for k in after if after[k] != before[k]} == {field}


def test_another_role_on_the_same_database_needs_no_other_variable(home):
    url = "postgresql://somebody:else@127.0.0.1:5001/wafergate"
    settings = load_settings({"WAFERGATE_DATABASE_URL": url}, home)
    assert settings.database_url.get_secret_value() == url
    assert settings.database_admin_url.get_secret_value() == OFFER["database_admin_url"]


def test_embedded_roles_never_serve_another_database(home):
    with pytest.raises(ConfigError) as caught:
        load_settings({"WAFERGATE_DATABASE_URL": ELSEWHERE["WAFERGATE_DATABASE_URL"]}, home)
    assert "WAFERGATE_DATABASE_ADMIN_URL" in str(caught.value)
    assert "WAFERGATE_DATABASE_READONLY_URL" in str(caught.value)


def test_embedded_keys_never_go_to_another_s3(home):
    with pytest.raises(ConfigError, match="WAFERGATE_S3_ACCESS_KEY, WAFERGATE_S3_SECRET_KEY are not set"):
        load_settings({"WAFERGATE_S3_ENDPOINT": "s3.example"}, home)


def test_another_prefect_brings_its_own_pages(home):
    assert load_settings({"PREFECT_API_URL": "http://p:1/api"}, home).prefect_ui_url == "http://p:1"


def test_missing_values_are_all_named_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_settings({}, tmp_path)
    assert "`wafergate up`" in str(caught.value)
    for name in ELSEWHERE:
        assert name in str(caught.value)


def test_wrong_values_are_all_named_and_secrets_are_not_shown(home):
    environ = {
        "WAFERGATE_DATABASE_URL": "mysql://u:hunter2@h/d",
        "WAFERGATE_CACHE_BYTES": "plenty",
        "WAFERGATE_S3_ENDPOINT": "https://s3.example",
        "WAFERGATE_S3_SECURE": "perhaps",
        "PREFECT_API_URL": "prefect",
    }
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, home)
    for name in environ:
        assert f"{name} is wrong" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_url_that_is_none_is_a_configuration_error(home):
    with pytest.raises(ConfigError, match="WAFERGATE_DATABASE_URL is wrong"):
        load_settings({"WAFERGATE_DATABASE_URL": "postgresql://[half/x"}, home)


def test_secrets_do_not_show_in_logs(home):
    text = repr(load_settings({"WAFERGATE_ALERT_URLS": "json://token@h xml://h2"}, home))
    for secret in ("a1", "b2", "c3", "embedded-secret", "token"):
        assert secret not in text


def test_alert_urls_are_separated_by_white_space_and_sizes_may_carry_units(home):
    settings = load_settings({"WAFERGATE_ALERT_URLS": "json://h,i\nxml://h2", "WAFERGATE_CACHE_BYTES": "2GiB"}, home)
    assert [url.get_secret_value() for url in settings.alert_urls] == ["json://h,i", "xml://h2"]
    assert settings.cache_bytes == 2 * 1024**3


def test_the_process_environment_is_not_read_behind_the_callers_back(home, monkeypatch):
    monkeypatch.setenv("WAFERGATE_S3_BUCKET", "from-process")
    assert load_settings({}, home).s3_bucket == "wafergate"


def test_settings_cannot_be_changed(home):
    with pytest.raises(ValidationError):
        load_settings({}, home).s3_bucket = "x"


def test_the_dashboard_needs_no_writing_role(tmp_path):
    reader = {k: v for k, v in ELSEWHERE.items() if "S3" in k or "READONLY" in k}
    settings = load_dashboard_settings(reader, tmp_path)
    assert not hasattr(settings, "database_url")


def test_a_damaged_state_file_is_named(home):
    path: Path = home / "services.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"services\.json"):
        load_settings({}, home)


def test_the_dashboard_in_a_container_finds_prefect_where_the_worker_does() -> None:
    compose = yaml.safe_load((Path(__file__).parents[2] / "infra" / "compose.yaml").read_text(encoding="utf-8"))
    worker, dashboard = (compose["services"][name]["environment"] for name in ("worker", "dashboard"))
    assert dashboard["PREFECT_API_URL"] == worker["PREFECT_API_URL"]
    assert dashboard["PREFECT_UI_URL"] == worker["PREFECT_UI_URL"]
