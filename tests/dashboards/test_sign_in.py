"""The door: off unless wanted, closed to everybody where it is half set up, open to who has signed in."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as hy
from streamlit.testing.v1 import AppTest

from dashboards.texts import JOINER, Text
from tests.dashboards.browser import LOAD_MS, PATIENCE_S, chromium, find_chromium, free_port, served, wait_until_drawn
from tests.dashboards.provider import CLIENT, PERSON, SECRET, provider
from wafergate.adapters.embedded.sign_in import VARIABLES, secrets_text, wanted
from wafergate.errors import ConfigError

APP = Path(__file__).parent / "signed_app.py"
DOOR = f"""
import streamlit
from dashboards.front import front_routes

app = streamlit.App({str(APP)!r}, routes=front_routes())
"""
GIVEN = {
    "WAFERGATE_OIDC_URL": "https://id.example/.well-known/openid-configuration",
    "WAFERGATE_OIDC_CLIENT_ID": CLIENT,
    "WAFERGATE_OIDC_CLIENT_SECRET": SECRET,
}


def _text(environ: dict[str, str]) -> str:
    return secrets_text(environ, cookie_secret="salt", address="127.0.0.1:8501")


@pytest.mark.unit
def test_without_a_variable_there_is_no_door() -> None:
    assert not wanted({})
    assert _text({}) == ""


@pytest.mark.unit
@pytest.mark.parametrize("name", VARIABLES.values())
def test_a_missing_variable_is_named_and_opens_nothing(name: str) -> None:
    rest = {key: value for key, value in GIVEN.items() if key != name}
    assert wanted(rest)
    with pytest.raises(ConfigError, match=f"needs {name} as well"):
        _text(rest)


@pytest.mark.unit
def test_the_place_to_lead_back_to_is_the_callback() -> None:
    assert tomllib.loads(_text(GIVEN))["auth"]["redirect_uri"] == "http://127.0.0.1:8501/oauth2callback"
    with pytest.raises(ConfigError, match="followed by /oauth2callback"):
        _text(GIVEN | {"WAFERGATE_OIDC_REDIRECT_URL": "https://quality.example/"})


@pytest.mark.unit
@given(
    hy.text(hy.characters(codec="utf-8", exclude_characters="\x7f"), min_size=1).filter(lambda text: bool(text.strip()))
)
def test_any_secret_reaches_streamlit_as_it_is(secret: str) -> None:
    told = tomllib.loads(_text(GIVEN | {"WAFERGATE_OIDC_CLIENT_SECRET": secret}))["auth"]
    assert told["client_secret"] == secret.strip()
    assert told["cookie_secret"] == "salt"


@pytest.mark.unit
@pytest.mark.parametrize("language", ["en", "ko"])
def test_wanted_and_not_set_up_lets_nobody_in(language: str) -> None:
    page = AppTest.from_file(APP, default_timeout=PATIENCE_S)
    page.query_params["lang"] = language
    page.run()
    assert [error.value for error in page.error] == [Text(language).say("sign_in_broken")]
    assert not page.title
    assert not page.markdown


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (package chromium), found none on the path")
def test_a_person_signs_in_at_the_provider_and_sees_the_pages(tmp_path: Path) -> None:
    port, secrets = free_port(), tmp_path / "secrets.toml"
    with provider() as identity:
        given = GIVEN | {"WAFERGATE_OIDC_URL": identity.metadata_url}
        secrets.write_text(secrets_text(given, cookie_secret="0123456789" * 4, address=f"127.0.0.1:{port}"))
        options = ("--secrets.files", str(secrets))
        door = tmp_path / "door.py"
        door.write_text(DOOR, encoding="utf-8")
        with served(door, tmp_path / "log.txt", *options, port=port) as address, chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(LOAD_MS)
            page.goto(f"{address}/lots?lang=en")
            wait_until_drawn(page)
            assert page.locator("h1").inner_text() == "Sign in"
            assert "yolox-nano" not in page.locator("body").inner_text()
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_selector(".st-key-signed-in")
            wait_until_drawn(page)
            assert PERSON in page.locator(".st-key-signed-in").inner_text().replace(JOINER, "")
            page.get_by_role("link", name="Lots").first.click()
            page.wait_for_selector(".st-key-lot-table")
            assert "yolox-nano" in page.locator("body").inner_text()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_function("() => document.querySelector('h1')?.innerText === 'Sign in'")
