"""The one place that turns settings into real parts."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import urllib3

from wafergate.adapters import embedded
from wafergate.adapters.apprise import AppriseChannel
from wafergate.adapters.arrivals import Arrivals, Settled, stamp_of_file
from wafergate.adapters.embedded import sign_in
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections, migrate
from wafergate.domain.gate import Champion
from wafergate.domain.models import Candidate
from wafergate.errors import ConfigError, ServiceError, SourceError
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.ports import AlertChannel, FactStore, FileReader, InspectionStore, LabelScorer, RunReader, Source
from wafergate.settings import Settings, find_home, load_dashboard_settings, load_settings

if TYPE_CHECKING:  # what reads S3 is loaded where a source lies there
    from wafergate.adapters.s3_source import S3Source

__all__ = [
    "alert_channel",
    "catalogue",
    "check_services",
    "home",
    "label_scorer",
    "migrate_schema",
    "open_arrivals",
    "open_parts",
    "open_parts_with",
    "open_readonly_facts",
    "open_readonly_files",
    "open_readonly_inspections",
    "open_runs",
    "open_source",
    "page_printer",
    "point_prefect",
    "require_source",
    "service_status",
    "settings",
    "sign_in_wanted",
    "start_services",
    "stop_services",
]


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def home() -> Path:
    """Return the folder of the embedded services."""
    return find_home(Path.cwd(), os.environ)


def settings() -> Settings:
    """Return the settings in force.

    Raises:
        ConfigError: some are missing or wrong; all are named.
    """
    return load_settings(os.environ, home())


def point_prefect(values: Settings) -> None:
    """Tell Prefect where its server is; must come before Prefect is imported.

    Nothing is reported to its makers, and its own console log leaves the terminal to the command line.
    """
    _spare_loopback()
    os.environ["PREFECT_API_URL"] = values.prefect_api_url
    os.environ.setdefault("PREFECT_HOME", str(home() / "prefect"))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_COLORS", "false")


def _spare_loopback() -> None:
    """Keep a proxy of the environment away from this machine's own services, which it could not reach."""
    for name in ("NO_PROXY", "no_proxy"):
        spared = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*spared, "127.0.0.1", "localhost"]))


def catalogue() -> Mapping[str, Candidate]:
    """Return the package's candidates, which needs no services."""
    from wafergate.adapters.catalogue import load_catalogue

    return load_catalogue()


def migrate_schema(values: Settings) -> None:
    """Bring the database to this version's schema.

    Raises:
        ServiceError: the server does not answer or refuses.
    """
    roles = [
        urlsplit(url.get_secret_value()).username or "" for url in (values.database_url, values.database_readonly_url)
    ]
    migrate(values.database_admin_url.get_secret_value(), application=roles[0], dashboard=roles[1])


@cache
def open_parts() -> Parts:
    """Return this process's parts; connections are made when first needed and shared by its threads."""
    # imported here: a command that only asks the database starts in a blink
    from wafergate.adapters import images
    from wafergate.adapters.catalogue import load_catalogue
    from wafergate.adapters.download import download
    from wafergate.adapters.evidently import EvidentlyMeter
    from wafergate.adapters.expectations import GreatExpectationsValidator
    from wafergate.adapters.libreyolo import LibreYoloTrainer
    from wafergate.adapters.machine import describe, training_devices
    from wafergate.adapters.onnx_detector import OnnxDetectorLoader, serving_loaders
    from wafergate.adapters.published_weights import LibreYoloWeights, UltralyticsWeights
    from wafergate.adapters.s3 import S3Files
    from wafergate.adapters.ultralytics import UltralyticsTrainer

    values = settings()
    return Parts(
        facts=PostgresFacts(values.database_url.get_secret_value(), clock=now),
        files=S3Files(
            values.s3_endpoint,
            values.s3_access_key.get_secret_value(),
            values.s3_secret_key.get_secret_value(),
            bucket=values.s3_bucket,
            cache=values.cache_dir,
            cache_bytes=int(values.cache_bytes),
            secure=values.s3_secure,
            region=values.s3_region,
        ),
        examiner=lambda max_pixels: images.Examiner(max_pixels=max_pixels),
        decode=images.decode,
        encode=images.encode_png,
        inspections=PostgresInspections(
            values.database_url.get_secret_value(), clock=now, owner=values.database_admin_url.get_secret_value()
        ),
        validate=GreatExpectationsValidator(),
        trainers={"libreyolo": LibreYoloTrainer(), "ultralytics": UltralyticsTrainer()},
        load_detector=OnnxDetectorLoader(),
        meter=EvidentlyMeter(),
        catalogue=load_catalogue(),
        clock=now,
        work=values.work_dir,
        machine=describe,
        runtimes=serving_loaders,
        published={"libreyolo": LibreYoloWeights(), "ultralytics": UltralyticsWeights()},
        download=download,
        devices=training_devices,
    )


@cache
def open_parts_with(threads: int) -> Parts:
    """Return this process's parts with models that compute on so many threads at most: others share the machine."""
    from wafergate.adapters.onnx_detector import OnnxDetectorLoader, serving_loaders

    loader = OnnxDetectorLoader(threads=threads)
    return replace(open_parts(), load_detector=loader, runtimes=lambda serve: serving_loaders(serve, most=threads))


def open_source(place: str) -> Source:
    """Open a folder, an archive, or a prefix of a bucket on the S3 of the settings.

    Raises:
        SourceError: there is nothing, or nothing usable, at this place.
        ServiceError: S3 does not answer or refuses.
    """
    from wafergate.adapters import source
    from wafergate.adapters.s3_source import SCHEME

    return source.require_files(_open_prefix(place)) if place.startswith(SCHEME) else source.open_source(Path(place))


def require_source(place: str) -> None:
    """Refuse a folder or an archive that is not there, before anything slow; a prefix of a bucket is not looked at yet.

    Raises:
        SourceError: there is nothing at this place.
    """
    from wafergate.adapters import source
    from wafergate.adapters.s3_source import SCHEME

    if not place.startswith(SCHEME):
        source.require_there(Path(place))


def _open_prefix(place: str) -> "S3Source":
    from wafergate.adapters.s3_client import connect
    from wafergate.adapters.s3_source import S3Source

    values = settings()
    client = connect(
        values.s3_endpoint,
        values.s3_access_key.get_secret_value(),
        values.s3_secret_key.get_secret_value(),
        secure=values.s3_secure,
        region=values.s3_region,
    )
    return S3Source(client, values.s3_endpoint, place)


def open_arrivals(place: str) -> Callable[[], Settled]:
    """Return what looks at a folder or a prefix that files come into; it may be empty.

    Raises:
        SourceError: it is no folder.
    """
    from wafergate.adapters.s3_source import SCHEME
    from wafergate.adapters.source import FolderSource

    if place.startswith(SCHEME):

        def look() -> Settled:
            source = _open_prefix(place)
            return Settled(source, source.stamps())  # objects appear whole

        return look
    root = Path(place)
    if not root.is_dir():
        message = f"--follow needs a folder or s3://bucket/prefix that is there, found {place!r}; check --source"
        raise SourceError(message)
    return Arrivals(lambda: FolderSource(root), partial(stamp_of_file, root))


def label_scorer() -> LabelScorer:
    """Return what scores labels.

    Raises:
        ConfigError: the extra is not installed.
    """
    from wafergate.adapters.cleanlab import CleanlabScorer

    return CleanlabScorer()


def open_readonly_facts() -> FactStore:
    """Return the fact store of the role that can only read, for the dashboard."""
    values = load_dashboard_settings(os.environ, home())
    return PostgresFacts(values.database_readonly_url.get_secret_value(), clock=now)


def open_readonly_inspections() -> InspectionStore:
    """Return the inspections as the role that can only read sees them, for the dashboard."""
    values = load_dashboard_settings(os.environ, home())
    return PostgresInspections(values.database_readonly_url.get_secret_value(), clock=now)


def open_readonly_files() -> FileReader:
    """Return the stored files for the dashboard, which can put none there."""
    from wafergate.adapters.s3 import ReadOnlyFiles, S3Files

    values = load_dashboard_settings(os.environ, home())
    files = S3Files(
        values.s3_endpoint,
        values.s3_access_key.get_secret_value(),
        values.s3_secret_key.get_secret_value(),
        bucket=values.s3_bucket,
        cache=home() / "cache",
        cache_bytes=0,
        secure=values.s3_secure,
        region=values.s3_region,
        pause_s=0,  # somebody waits for the page, which goes on without its pictures
    )
    return ReadOnlyFiles(files)


def open_runs() -> RunReader:
    """Return what Prefect knows of runs, for the dashboard."""
    from wafergate.adapters.prefect_api import PrefectRuns

    values = load_dashboard_settings(os.environ, home())
    return PrefectRuns(values.prefect_api_url, values.prefect_ui_url)


def alert_channel(line: LineFile, environment: Mapping[str, str] = os.environ) -> AlertChannel | None:
    """Return the channel of the line file and the environment together; None where neither names one.

    Raises:
        ConfigError: an address is wrong or a variable it names is not set.
    """
    addresses = [*line.alerts.channels, *(url.get_secret_value() for url in settings().alert_urls)]
    return AppriseChannel(addresses, environment) if addresses else None


def page_printer() -> Callable[[bytes], bytes] | None:
    """Return what makes a PDF of a page; None where this machine has no Chromium."""
    from wafergate.adapters.chromium import find_chromium, print_page

    return print_page if find_chromium() else None


def check_services(values: Settings) -> None:
    """Ask every service once, so that a run fails before it begins and not in its middle.

    Raises:
        ServiceError: one does not answer or refuses; the message names it.
    """
    parts = open_parts()
    parts.facts.find(Champion, limit=1)
    parts.files.check()
    health = f"{values.prefect_api_url.rstrip('/')}/health"
    try:
        answer = urllib3.request("GET", health, timeout=5, retries=False)
    except urllib3.exceptions.HTTPError as error:
        message = f"Prefect at {values.prefect_api_url} does not answer: run `wafergate up`, or check PREFECT_API_URL"
        raise ServiceError(message) from error
    if answer.status != HTTPStatus.OK:
        message = (
            f"Prefect at {values.prefect_api_url} answers {answer.status} to a health check; see `wafergate status`"
        )
        raise ServiceError(message)


def sign_in_wanted() -> bool:
    """Tell whether the dashboard shows anything only to who has signed in."""
    return sign_in.wanted(os.environ)


def start_services(progress: Callable[[str, str], None]) -> embedded.StackState:
    """Start what does not run, and bring the schema up to date.

    Raises:
        ServiceError: a part cannot be started.
    """
    _spare_loopback()
    state = embedded.up(home(), progress=progress, dashboard=_dashboard_app())
    migrate_schema(settings())
    return state


def stop_services(progress: Callable[[str, str], None]) -> tuple[str, ...]:
    """Stop what `start_services` started; return the names of the parts that ran."""
    return embedded.down(home(), progress=progress)


def service_status() -> list[embedded.ServiceStatus]:
    """Say of every part whether it runs and answers."""
    return embedded.status(home())


def serve_dashboard(*, host: str, port: int) -> NoReturn:
    """Become the dashboard's server.

    Raises:
        ConfigError: the dashboard is not installed, or sign-in is half configured.
    """
    app = _dashboard_app()
    if app is None:
        message = "the dashboard's pages are not installed: run wafergate from its checkout, or use its image"
        raise ConfigError(message)
    embedded.serve_dashboard(app, os.environ, home() / "dashboard", host=host, port=port)


def _dashboard_app() -> Path | None:
    spec = find_spec("dashboards")
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders))) / "app.py" if folders else None
