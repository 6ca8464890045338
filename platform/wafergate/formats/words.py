"""The field's terms in every language, from the one glossary, and numbers and times as their readers write them."""

import math
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path

from wafergate.domain.drift import counted_class
from wafergate.domain.evaluation import Rate

__all__ = ["LANGUAGES", "Words", "terms"]

LANGUAGES = {"en": "English", "ko": "한국어"}
NOT_MEASURED = "–"


@cache
def terms() -> dict[str, dict[str, str]]:
    """Return the glossary: per term the word and the explanation in every language."""
    return tomllib.loads((Path(__file__).parent / "glossary.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Words:
    """The terms of one language, and numbers and times as its readers write them.

    Attributes:
        language: key of `LANGUAGES`.
        zone: time zone in which times are told.
    """

    language: str
    zone: tzinfo = UTC

    def word(self, key: object) -> str:
        """Return the word of a glossary term; a name the glossary does not know is returned as it is."""
        entry = terms().get(str(key))
        return entry[self.language] if entry else str(key)

    def feature(self, name: str) -> str:
        """Return the word of a drift feature; one that counts a class's predictions is called as the class."""
        return counted_class(name) or self.word(name)

    def explain(self, key: object) -> str | None:
        """Return a term's explanation, if the glossary has one."""
        entry = terms().get(str(key))
        return entry[f"{self.language}_help"] if entry else None

    def count(self, number: int) -> str:
        """Return a whole number with separators."""
        return f"{number:,}"

    def value(self, number: float | None, digits: int = 3) -> str:
        """Return a measured value, rounded; a dash where there is none."""
        return NOT_MEASURED if number is None else f"{number:.{digits}f}"

    def at_least(self, number: float | None, digits: int = 3) -> str:
        """Return a lower bound, never rounded up: it must not seem to reach a limit it does not reach."""
        # The sliver keeps 0.9 from becoming 0.899 because the machine stores 0.8999999999999999.
        return self.value(None if number is None else math.floor(number * 10**digits + 1e-9) / 10**digits, digits)

    def at_most(self, number: float | None, digits: int = 3) -> str:
        """Return an upper bound, never rounded down."""
        return self.value(None if number is None else math.ceil(number * 10**digits - 1e-9) / 10**digits, digits)

    def limit(self, number: float | None) -> str:
        """Return a limit as it was set: two digits at least below 1, never rounded."""
        if number is None:
            return NOT_MEASURED
        return f"{number:.2f}" if number < 1 and round(number, 2) == number else f"{number:g}"

    def percent(self, share: float) -> str:
        """Return a share as a percentage without the sign, e.g. `95` or `99.9`."""
        return f"{share * 100:g}"

    def found(self, rate: Rate) -> str:
        """Return hits and trials as `37 / 40`."""
        return f"{self.count(rate.hits)} / {self.count(rate.trials)}"

    def day(self, day: date) -> str:
        """Return a date as the language writes it; a moment tells that of the reader's time zone."""
        return self._local(day).strftime("%Y. %m. %d." if self.language == "ko" else "%Y-%m-%d")

    def short_day(self, day: date) -> str:
        """Return month and day."""
        return self._local(day).strftime("%m. %d." if self.language == "ko" else "%m-%d")

    def when(self, moment: datetime) -> str:
        """Return date and time to the minute in the reader's time zone, with the zone's name."""
        local = moment.astimezone(self.zone)
        pattern = "%Y. %m. %d. %H:%M %Z" if self.language == "ko" else "%Y-%m-%d %H:%M %Z"
        return local.strftime(pattern)

    def _local(self, day: date) -> date:
        return day.astimezone(self.zone) if isinstance(day, datetime) else day
