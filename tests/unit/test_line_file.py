"""What a line file that is wrong says of itself."""

from pathlib import Path

import pytest

from wafergate.errors import ConfigError
from wafergate.line import parse_line

pytestmark = pytest.mark.unit

LINE = '[line]\nname = "x"\nclasses = ["a"]\n'


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[golden]\nscor = 1", "golden.scor: unknown key; known here: iou, score"),
        (
            "[hardware.train]\nlatency_ms = 3",
            "hardware.train.latency_ms: unknown key; known here: device, memory_mib, threads",
        ),
        (
            "[hardware.serve]\nmemory_mib = 3",
            "hardware.serve.memory_mib: unknown key; known here: device, latency_ms, ",
        ),
        (
            '[taxonomy]\nmap = [{ raw = "b", defect_class = "a", why = "x" }]',
            "taxonomy.map.0.why: unknown key; known here: defect_class, rationale, raw",
        ),
        (
            '[licences.exceptions.MIT]\nwho = "x"\nwhy = "y"\nuntil = 2027-01-01\nwhen = 1',
            "licences.exceptions.MIT.when: unknown key; known here: until, who, why",
        ),
        ("[path]\n[text]", "path: unknown key; known here: alerts, "),
        ("[gates]\nrecall = 1", "gates: unknown key; known here: alerts, augment, boxes, "),
    ],
)
def test_an_unknown_key_is_told_with_those_that_are_known_where_it_stands(more: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_line(f"{LINE}{more}\n", Path("line.toml"))
    assert f"\n  {told}" in str(caught.value)
