"""Words, sentences, numbers and times of the pages, in English and Korean.

Whatever comes from data is escaped where it enters a sentence, so that a file name or a note stays text.
"""

import math
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from wafergate.domain.evaluation import Rate
from wafergate.domain.training import ModelVersion

__all__ = ["LANGUAGES", "Text", "choose_language", "choose_zone", "literal", "terms"]

LANGUAGES = {"en": "English", "ko": "한국어"}
HERE = Path(__file__).parent
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=@/'\"])")
SPACES = re.compile(r"\s+")
# Streamlit makes links of bare addresses even when their characters are escaped; an invisible word joiner breaks them.
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
JOINER = "\u2060"


def literal(text: object) -> str:
    """Return text as one line of Markdown that shows its characters: no link, image, formula, icon or tag."""
    line = SPACES.sub(" ", str(text)).strip()
    return MARKUP.sub(r"\\\1", ADDRESSES.sub(JOINER, line))


@cache
def terms() -> dict[str, dict[str, str]]:
    """Return the glossary: per term the word and the explanation in every language."""
    return tomllib.loads((HERE / "glossary.toml").read_text(encoding="utf-8"))


@cache
def phrases() -> dict[str, dict[str, str]]:
    """Return the sentences of every language."""
    return tomllib.loads((HERE / "phrases.toml").read_text(encoding="utf-8"))


def choose_language(asked: str | None, browser: str | None) -> str:
    """Return the language asked for in the address, else the browser's, else English.

    Args:
        asked: query parameter `lang`.
        browser: the browser's language tag, e.g. `ko-KR`.
    """
    for tag in (asked, browser):
        language = (tag or "").replace("_", "-").split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"


def choose_zone(name: str | None) -> tzinfo:
    """Return the browser's time zone, UTC where it tells none or one this machine does not know."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


@dataclass(frozen=True, slots=True)
class Text:
    """The words of one language, and numbers and times as its readers write them."""

    language: str
    zone: tzinfo = UTC

    def term(self, key: object) -> str:
        """Return the word of a glossary term as Markdown; a name the glossary does not know is shown as it is."""
        return self.word(key) if str(key) in terms() else literal(key)

    def word(self, key: object) -> str:
        """Return the same for places that know no Markdown."""
        entry = terms().get(str(key))
        return entry[self.language] if entry else str(key)

    def title(self, key: object) -> str:
        """Return the word with a capital first letter, for headings and badges."""
        word = self.term(key)
        return word[:1].upper() + word[1:]

    def explain(self, key: object) -> str | None:
        """Return a term's explanation, if the glossary has one."""
        entry = terms().get(str(key))
        return entry[f"{self.language}_help"] if entry else None

    def say(self, key: str, **values: object) -> str:
        """Return a sentence as Markdown with the values escaped."""
        return phrases()[self.language][key].format(**{name: literal(value) for name, value in values.items()})

    def plain(self, key: str, **values: object) -> str:
        """Return a sentence for places that know no Markdown: figures, alternative texts, file names."""
        return phrases()[self.language][key].format(**values)

    def model(self, model: ModelVersion) -> str:
        """Return a model's name, unescaped."""
        return self.plain("model_name", candidate=model.candidate.name, number=model.number)

    def count(self, number: int) -> str:
        """Return a whole number with separators."""
        return f"{number:,}"

    def value(self, number: float | None, digits: int = 3) -> str:
        """Return a measured value, rounded; a dash where there is none."""
        return phrases()[self.language]["not_measured"] if number is None else f"{number:.{digits}f}"

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
            return self.value(None)
        return f"{number:.2f}" if number < 1 and round(number, 2) == number else f"{number:g}"

    def percent(self, share: float) -> str:
        """Return a share as a percentage without the sign, e.g. `95` or `99.9`."""
        return f"{share * 100:g}"

    def found(self, rate: Rate) -> str:
        """Return hits and trials as `37 / 40`."""
        return f"{self.count(rate.hits)} / {self.count(rate.trials)}"

    def when(self, moment: datetime) -> str:
        """Return date and time to the minute in the reader's time zone, with the zone's name."""
        local = moment.astimezone(self.zone)
        pattern = "%Y. %m. %d. %H:%M %Z" if self.language == "ko" else "%Y-%m-%d %H:%M %Z"
        return local.strftime(pattern)
