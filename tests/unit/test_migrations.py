"""The migrations are one chain: a database has one way to this version's schema."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from wafergate.adapters import postgres

pytestmark = pytest.mark.unit

FOLDER = Path(postgres.__file__).parent / "migrations"


@pytest.mark.filterwarnings("error")
def test_every_migration_follows_the_one_before_and_there_is_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    chain = [script.revision for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))]
    files = sorted(path.name for path in (FOLDER / "versions").glob("[0-9]*.py"))
    assert chain == [file.partition("_")[0] for file in files] == [f"{place:04}" for place in range(1, len(files) + 1)]
