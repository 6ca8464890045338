"""The real services, started once for the whole session."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wafergate import wiring
from wafergate.adapters.embedded import StackState
from wafergate.settings import Settings

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def services() -> Iterator[StackState]:
    """PostgreSQL, S3, Prefect, a worker and the dashboard on ports of their own, in a folder of their own."""
    home = Path(tempfile.mkdtemp(prefix="wafergate-test-"))
    before = os.environ.get("WAFERGATE_HOME")
    os.environ["WAFERGATE_HOME"] = str(home)
    try:
        state = wiring.start_services(lambda _part, _message: None)
        wiring.point_prefect(wiring.settings())
        yield state
    finally:
        wiring.stop_services(lambda _part, _message: None)
        shutil.rmtree(home, ignore_errors=True)
        if before is None:
            del os.environ["WAFERGATE_HOME"]
        else:
            os.environ["WAFERGATE_HOME"] = before


@pytest.fixture(scope="session")
def service_settings(services: StackState) -> Settings:
    """Where the session's services are."""
    del services
    return wiring.settings()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real image sets beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real image sets are not there: {REAL_DATA}")
    return REAL_DATA
