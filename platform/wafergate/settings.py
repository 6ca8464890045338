"""Environment and secrets: where PostgreSQL, S3 and Prefect are, and what this machine may use.

Each setting comes from its environment variable, else from what the embedded services offer in ``services.json``
of the home folder, else from its default. Only `wafergate.wiring` reads settings.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from wafergate.errors import ConfigError

HOME_NAME = ".wafergate"
OFFER_NAME = "services.json"
PREFIX = "WAFERGATE_"
PREFECT_OWN = {"prefect_api_url", "prefect_ui_url"}  # read under the names that Prefect itself reads
DATABASE_FIELDS = ("database_url", "database_admin_url", "database_readonly_url")
S3_KEYS = ("s3_access_key", "s3_secret_key", "s3_secure", "s3_region")


class DashboardSettings(BaseSettings):
    """What the dashboard needs, and all it is given: it reads the database and links to Prefect.

    Attributes:
        database_readonly_url: ``postgresql://`` URL of a role that can only read.
        s3_endpoint: ``host:port`` of any S3, without a scheme.
        s3_access_key: Access key.
        s3_secret_key: Secret key.
        s3_bucket: Bucket that holds every file.
        s3_secure: Whether the endpoint speaks TLS.
        s3_region: Region name the requests are signed for.
        prefect_api_url: Prefect's API, ending in ``/api`` on a server of one's own.
        prefect_ui_url: Address of Prefect's pages; made from `prefect_api_url` where absent.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_readonly_url: SecretStr
    s3_endpoint: str = Field(pattern=r"^[A-Za-z0-9.\-\[\]:]+$")
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = Field(default="wafergate", pattern=r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]$")
    s3_secure: bool = True
    s3_region: str = Field(default="us-east-1", min_length=1)
    prefect_api_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    prefect_ui_url: str = Field(default="", pattern=r"^(https?://.*)?$")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the loader alone, which was handed its environment instead of reading the process's."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator(*DATABASE_FIELDS, check_fields=False)
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
            raise ValueError("must be a URL of the form postgresql://role:password@host:port/database")
        return value


class Settings(DashboardSettings):
    """Everything that differs between one machine and another, read once.

    Attributes:
        database_url: ``postgresql://`` URL of the application's role.
        database_admin_url: The same database as the role that owns the tables; for migrations only.
        prefect_api_url: as for the dashboard, and required.
        alert_urls: Apprise URLs that get alerts beside those of the line file; separated by white space.
        cache_dir: Folder of the local file cache.
        cache_bytes: Bound of that cache, in bytes; ``4GiB`` is understood.
        work_dir: Folder for what a run writes before it is stored.
        dask_scheduler: Address of a Dask scheduler; empty maps chunks on this machine.
    """

    database_url: SecretStr
    database_admin_url: SecretStr
    prefect_api_url: str = Field(pattern=r"^https?://.+")
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    cache_dir: Path
    cache_bytes: ByteSize = Field(default=ByteSize(4 * 1024**3), gt=0)
    work_dir: Path
    dask_scheduler: str = Field(default="", pattern=r"^([a-z]+://.+)?$")

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value


AnySettings = TypeVar("AnySettings", bound=DashboardSettings)


def find_home(cwd: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder that keeps everything embedded; it need not exist.

    ``$WAFERGATE_HOME``, else the nearest ``.wafergate`` from the working folder upward (as git finds its own), else
    ``.wafergate`` in the working folder.

    Args:
        cwd: The working folder.
        environ: The environment.

    Returns:
        An absolute path.
    """
    given = environ.get("WAFERGATE_HOME", "").strip()
    if given:
        return (cwd / Path(given).expanduser()).resolve()
    cwd = cwd.resolve()
    candidates = (folder / HOME_NAME for folder in (cwd, *cwd.parents))
    return next((folder for folder in candidates if folder.is_dir()), cwd / HOME_NAME)


def load_settings(environ: Mapping[str, str], home: Path) -> Settings:
    """Merge the environment over what the embedded services offer.

    Args:
        environ: The environment.
        home: The home folder, as `find_home` gives it.

    Raises:
        ConfigError: Values are missing or wrong; the message lists all of them by their variables' names and
            shows no secret.
    """
    return _load(Settings, environ, home)


def load_dashboard_settings(environ: Mapping[str, str], home: Path) -> DashboardSettings:
    """Load the part of the settings that the dashboard needs, so that it can run without anybody else's secrets.

    Raises:
        ConfigError: As `load_settings`.
    """
    return _load(DashboardSettings, environ, home)


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return field.upper() if field in PREFECT_OWN else f"{PREFIX}{field.upper()}"


class _Given(EnvSettingsSource):
    """The environment that a caller hands over, under pydantic-settings' rules."""

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings)
        values = {field: environ.get(variable(field), "").strip() for field in settings.model_fields}
        self.env_vars = {f"{PREFIX}{field}".lower(): value for field, value in values.items() if value}


def _load(settings: type[AnySettings], environ: Mapping[str, str], home: Path) -> AnySettings:
    given: dict[str, Any] = _Given(settings, environ)()
    offered = _fitting(_offered(home), given)
    merged = {"cache_dir": home / "cache", "work_dir": home / "work", **offered, **given}
    api = str(merged.get("prefect_api_url", ""))
    merged.setdefault("prefect_ui_url", api.rstrip("/").removesuffix("/api"))
    try:
        return settings(**merged)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None  # pydantic's own text would show the values, secrets included


def _offered(home: Path) -> dict[str, str]:
    """Return what the embedded services' file offers; nothing where there is no such file."""
    path = home / OFFER_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["settings"])
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise ConfigError(
            f"{path} belongs to another user: run as that user, or set WAFERGATE_HOME to a folder of yours"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a file of `wafergate up` ({error!r}): restore it from a backup") from error


def _fitting(offered: dict[str, str], given: Mapping[str, Any]) -> dict[str, str]:
    """Drop what is offered for another server than the one the environment names.

    Without this, the application would write to one database while migrations change another, and the embedded
    keys would be sent, unencrypted, to a foreign S3.
    """
    dropped: set[str] = set()
    addresses = [_server(given[field]) for field in DATABASE_FIELDS if field in given]
    if any(address != _server(offered.get("database_url", "")) for address in addresses):
        dropped.update(DATABASE_FIELDS)
    if given.get("s3_endpoint", offered.get("s3_endpoint")) != offered.get("s3_endpoint"):
        dropped.update(S3_KEYS)
    if given.get("prefect_api_url", offered.get("prefect_api_url")) != offered.get("prefect_api_url"):
        dropped.add("prefect_ui_url")
    return {name: value for name, value in offered.items() if name not in dropped}


def _server(url: str) -> tuple[str, str]:
    """Return host with port, and path, of a URL: what stays the same whichever role logs in."""
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL at all; the field's own check says so with its name
        return "", ""
    return parts.netloc.rpartition("@")[2].lower(), parts.path


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    missing = [variable(str(problem["loc"][0])) for problem in problems if problem["type"] == "missing"]
    wrong = [
        f"{variable(str(problem['loc'][0]))} is wrong ({problem['msg'].removeprefix('Value error, ')})"
        for problem in problems
        if problem["type"] != "missing"
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        wrong.append(f"start the services with `wafergate up`, or name your own: {', '.join(missing)} {verb} not set")
    return "; ".join(wrong)
