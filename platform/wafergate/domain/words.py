"""Numbers with their noun, as a person would write them."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return e.g. `1 image` or `2 images`, `1 box` or `2 boxes`."""
    many = f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
