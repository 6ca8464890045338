import time
import pytest

pytestmark = [pytest.mark.services]


def test_probe(wafergate, line_run, count_rows):
    print(line_run.said.out, line_run.said.err)
    print(count_rows())
    t = time.time()
    s = wafergate("intake", "--line", "tests/data/pcb.toml", "--source", "/nonexist", "--format", "deeppcb")
    print(time.time() - t, s)
    t = time.time()
    s = wafergate("ledger", "verify")
    print(time.time() - t, s)
