"""Text that labels and tables may hold and that the store cannot."""

import unicodedata

__all__ = ["is_storable", "showable"]


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL and UTF-8 can hold a text: no NUL, and no half of a surrogate pair."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def showable(text: str) -> str:
    """Return a text that can be printed and stored, whatever it holds."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(repr(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in whole)
