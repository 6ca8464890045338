"""Operations of augmentation as they are stored.

An operation is stored as `turn_90`, `crop:x1,y1,x2,y2`, `gamma:1.12` …; a list of them is applied in order, each to the
result of the one before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wafergate.domain.augmentation import PHOTOMETRIC, OperationKind
from wafergate.errors import AugmentError

__all__ = ["Operation", "changes_light", "parse_operations"]

_K = OperationKind
_Numbers = tuple[float, ...]


def _whole(numbers: _Numbers) -> bool:
    return all(isinstance(number, int) for number in numbers)


# How each operation that has numbers is written, how many it has, and what they must satisfy.
_FORMS: dict[OperationKind, tuple[str, int, Callable[[_Numbers], bool]]] = {
    _K.CROP: (
        "crop:x1,y1,x2,y2 with whole pixels, 0 <= x1 < x2 and 0 <= y1 < y2",
        4,
        lambda n: _whole(n) and 0 <= n[0] < n[2] and 0 <= n[1] < n[3],
    ),
    _K.CUT: ("cut:row,column, each 0 or 1", 2, lambda n: _whole(n) and set(n) <= {0, 1}),
    _K.SHIFT: ("shift:right,down with whole pixels", 2, _whole),
    _K.BRIGHTNESS: ("brightness:LEVELS with -255 <= LEVELS <= 255", 1, lambda n: -255 <= n[0] <= 255),
    _K.CONTRAST: ("contrast:FACTOR with 0 < FACTOR <= 10", 1, lambda n: 0 < n[0] <= 10),
    _K.GAMMA: ("gamma:EXPONENT with 0 < EXPONENT <= 10", 1, lambda n: 0 < n[0] <= 10),
    _K.BLUR: ("blur:SIGMA with 0 < SIGMA <= 20 pixels", 1, lambda n: 0 < n[0] <= 20),
    _K.NOISE: (
        "noise:SIGMA,SEED with 0 < SIGMA <= 255 levels and a whole SEED from 0",
        2,
        lambda n: 0 < n[0] <= 255 and _whole(n[1:]) and n[1] >= 0,
    ),
    _K.UNEVEN_LIGHT: ("uneven_light:SHARE,DEGREES with 0 < SHARE < 1", 2, lambda n: 0 < n[0] < 1),
    _K.COMPOSITE: (
        "composite:box,right,down with the number of the donor's box and whole pixels",
        3,
        lambda n: _whole(n) and n[0] >= 0,
    ),
    _K.ROTATE: ("rotate:DEGREES with -45 <= DEGREES <= 45", 1, lambda n: abs(n[0]) <= 45),
    _K.SHEAR: ("shear:SHARE with -0.5 <= SHARE <= 0.5", 1, lambda n: abs(n[0]) <= 0.5),
    _K.ELASTIC: (
        "elastic:AMPLITUDE,WAVELENGTH,PHASE,PHASE with 12 times the amplitude at most the wavelength, pixels",
        4,
        lambda n: n[1] > 0 and 12 * abs(n[0]) <= n[1],
    ),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One augmentation step.

    Attributes:
        kind: what is done; turns are clockwise.
        numbers: as `_FORMS` names them; whole numbers where pixels are counted; empty for flips and turns.
    """

    kind: OperationKind
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        form, count, holds = _FORMS.get(self.kind, (str(self.kind), 0, _whole))
        if len(self.numbers) != count or not holds(self.numbers):
            message = f"an operation {self} is not possible; it is written {form}"
            raise AugmentError(message)

    def __str__(self) -> str:
        """Write the operation as it is stored."""
        return f"{self.kind}:{','.join(map(str, self.numbers))}" if self.numbers else str(self.kind)

    def window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the pixels that are kept: x1, y1, x2, y2, the last two not included.

        Raises:
            AugmentError: a crop reaches outside the image.
        """
        if self.kind is OperationKind.CUT:
            row, column = (int(number) for number in self.numbers)
            columns, rows = (0, width // 2, width), (0, height // 2, height)
            return columns[column], rows[row], columns[column + 1], rows[row + 1]
        if self.kind is not OperationKind.CROP:
            return 0, 0, width, height
        x1, y1, x2, y2 = (int(number) for number in self.numbers)
        if x2 > width or y2 > height:
            message = f"{self} reaches outside an image of {width} x {height} pixels"
            raise AugmentError(message)
        return x1, y1, x2, y2


def parse_operations(texts: Iterable[str]) -> tuple[Operation, ...]:
    """Read operations as they are stored.

    Raises:
        AugmentError: a text names no operation or has wrong numbers.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Operation:
    name, _, written = text.partition(":")
    try:
        kind = OperationKind(name)
        numbers = tuple(float(n) if set(n) & set(".e") else int(n) for n in written.split(",")) if written else ()
    except ValueError as error:
        message = f"{text!r} is no operation; there are {', '.join(OperationKind)}, their numbers after a colon"
        raise AugmentError(message) from error
    return Operation(kind, numbers)


def changes_light(operation: Operation) -> bool:
    """Tell whether an operation changes what the camera saw and not where: the golden reference stays as it is."""
    return operation.kind in PHOTOMETRIC or operation.kind is OperationKind.COMPOSITE
