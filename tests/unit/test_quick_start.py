"""A command answers soon: what only some of them need is loaded by those alone."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit
HEAVY = {"pandas", "scipy", "sqlalchemy", "alembic", "torch", "prefect", "streamlit", "pyarrow", "onnxruntime"}


@pytest.mark.parametrize("module", ["wafergate.cli", "wafergate.wiring"])
def test_what_every_command_loads_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY.intersection(loaded) == set()
