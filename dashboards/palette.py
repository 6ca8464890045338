"""Colours of verdicts and states, read from the one theme file that Streamlit reads as well."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wafergate.domain.gate import Verdict

__all__ = ["VERDICT_HUES", "Palette", "load_palette"]

THEME_FILE = Path(__file__).parent / ".streamlit" / "config.toml"

VERDICT_HUES: Mapping[Verdict, str] = {Verdict.PASS: "blue", Verdict.UNDECIDED: "orange", Verdict.FAIL: "red"}
"""Streamlit's name of the colour of a verdict, for badges."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one theme as `#RRGGBB`.

    `wash` lies behind boxes, `faint` are grids, `soft` is context, `lines` are what no verdict judges.
    """

    text: str
    background: str
    wash: str
    faint: str
    soft: str
    lines: tuple[str, ...]
    verdicts: Mapping[Verdict, str]

    def variables(self) -> str:
        """Return the colours as the variables of CSS that a page and its charts are drawn with."""
        colours = {
            "ink": self.text,
            "paper": self.background,
            "wash": self.wash,
            "faint": self.faint,
            "soft": self.soft,
            "pass": self.verdicts[Verdict.PASS],
            "open": self.verdicts[Verdict.UNDECIDED],
            "fail": self.verdicts[Verdict.FAIL],
            **{f"line-{place}": colour for place, colour in enumerate(self.lines)},
        }
        return " ".join(f"--{name}:{colour};" for name, colour in colours.items())


@cache
def load_palette(theme: str) -> Palette:
    """Return the colours of `light` or `dark`."""
    colours = tomllib.loads(THEME_FILE.read_text(encoding="utf-8"))["theme"][theme]
    return Palette(
        text=colours["textColor"],
        background=colours["backgroundColor"],
        wash=colours["secondaryBackgroundColor"],
        faint=colours["borderColor"],
        soft=colours["grayColor"],
        lines=tuple(colours["chartCategoricalColors"]),
        verdicts={verdict: colours[f"{hue}Color"] for verdict, hue in VERDICT_HUES.items()},
    )
