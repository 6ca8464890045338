"""Sentences of the pages, in English and Korean; terms, numbers and times come from `wafergate.formats.words`.

Whatever comes from data is escaped where it enters a sentence, so that a file name or a note stays text.
"""

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.words import LANGUAGES, Words, terms

__all__ = ["LANGUAGES", "Text", "choose_language", "choose_zone", "literal", "literal_with_commands", "terms"]

HERE = Path(__file__).parent
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=@/'\"])")
SPACES = re.compile(r"\s+")
# Streamlit makes links of bare addresses even when their characters are escaped; an invisible word joiner breaks them.
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
COMMAND = re.compile(r"\\`(wafergate [a-z ]+)\\`")
JOINER = "\u2060"


def literal(text: object) -> str:
    """Return text as one line of Markdown that shows its characters: no link, image, formula, icon or tag."""
    line = SPACES.sub(" ", str(text)).strip()
    return MARKUP.sub(r"\\\1", ADDRESSES.sub(JOINER, line))


def literal_with_commands(text: object) -> str:
    """Return text as `literal` does, but a command of this product between backticks as code."""
    return COMMAND.sub(r"`\1`", literal(text))


@cache
def phrases() -> dict[str, dict[str, str]]:
    """Return the sentences of every language: those of every page, then those of single pages."""
    files = [HERE / "phrases.toml", *sorted((HERE / "phrases").glob("*.toml"))]
    tables = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {
        language: {key: text for table in tables for key, text in table[language].items()} for language in LANGUAGES
    }


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
class Text(Words):
    """The words of one language for Streamlit's pages, which read Markdown."""

    def term(self, key: object) -> str:
        """Return the word of a glossary term as Markdown; a name the glossary does not know is shown as it is."""
        return self.word(key) if str(key) in terms() else literal(key)

    def title(self, key: object) -> str:
        """Return the word with a capital first letter, for headings and badges."""
        word = self.term(key)
        return word[:1].upper() + word[1:]

    def say(self, key: str, **values: object) -> str:
        """Return a sentence as Markdown with the values escaped."""
        return phrases()[self.language][key].format(**{name: literal(value) for name, value in values.items()})

    def plain(self, key: str, **values: object) -> str:
        """Return a sentence for places that know no Markdown: figures, alternative texts, file names."""
        return phrases()[self.language][key].format(**values)

    def model(self, model: ModelVersion) -> str:
        """Return a model's name, unescaped."""
        return self.plain("model_name", candidate=model.candidate.name, number=model.number)
