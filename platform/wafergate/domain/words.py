"""Numbers with their noun, as a person would write them."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return e.g. `1 image` or `2 images`, `1 box` or `2 boxes`, `1 epoch` or `2 epochs`."""
    hissing = noun.endswith(("s", "x", "ch", "sh")) and not noun.endswith("epoch")
    many = f"{noun}es" if hissing else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
