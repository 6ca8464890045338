"""What a training computes on: a processor, one card, or several."""

import re

__all__ = ["card_numbers", "device_names"]


def card_numbers(device: str) -> tuple[int, ...] | None:
    """Return the numbers of the cards that a device asks for; None leaves it to what there is.

    Args:
        device: `auto`, `cpu`, `cuda` for the first card, `cuda:1`, `cuda:0,1` for several or `cuda:all`.

    Raises:
        ValueError: it is none of these, or names a card twice.

    Example:
        >>> card_numbers("cuda:2,0")
        (0, 2)
        >>> card_numbers("cpu")
        ()
    """
    if device in {"auto", "cuda:all"}:
        return None
    if device == "cpu":
        return ()
    if device == "cuda":
        return (0,)
    found = re.fullmatch(r"cuda:(\d+(?:,\d+)*)", device)
    numbers = tuple(sorted(int(number) for number in found[1].split(","))) if found else ()
    if not numbers or len(set(numbers)) < len(numbers):
        message = f"device must be auto, cpu, cuda, cuda:1, cuda:0,1 or cuda:all, found {device!r}"
        raise ValueError(message)
    return numbers


def device_names(device: str, cards: int) -> tuple[str, ...]:
    """Return the devices a training computes on, with so many cards in the machine.

    Raises:
        ValueError: see `card_numbers`.
        LookupError: a card that is asked for is not there.

    Example:
        >>> device_names("cuda:all", 2)
        ('cuda:0', 'cuda:1')
        >>> device_names("auto", 0)
        ('cpu',)
    """
    numbers = card_numbers(device)
    if numbers is None:
        numbers = tuple(range(cards)) if device == "cuda:all" else (0,) if cards else ()
    if (device == "cuda:all" and not cards) or any(number >= cards for number in numbers):
        raise LookupError(device)
    return tuple(f"cuda:{number}" for number in numbers) or ("cpu",)
