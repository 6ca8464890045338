"""What a line's file decides about reading its images and labels."""

import re
import string
from dataclasses import dataclass

from wafergate.domain.quarantine import Released, Unlabelled
from wafergate.errors import ConfigError

__all__ = ["ReadOptions"]

_PLACEHOLDERS = frozenset({"folder", "stem", "suffix"})


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of all readers; each takes what concerns it, the names are those of `[intake]`.

    Attributes:
        pattern: regular expression searched in each image's path; named groups become metadata.
        reference: path of an image's golden reference, made from its `{folder}`, `{stem}` and `{suffix}`.
        mask_gap: parts of a mask with fewer than this many pixels between them are one defect.
        mask_min_area: parts of a mask smaller than this many pixels are no defect.
        max_pixels: masks with more pixels are refused undecoded.
        classes: names of YOLO's class indices where no file of the source names them.
        unlabelled: what an image without a label file is.
        released: files that a person let in, each with the reason that no longer keeps it out.

    Raises:
        ConfigError: the pattern is no regular expression, or the reference has an unknown placeholder.
    """

    pattern: str = ""
    reference: str = ""
    mask_gap: int = 0
    mask_min_area: int = 9
    max_pixels: int = 100_000_000
    classes: tuple[str, ...] = ()
    unlabelled: Unlabelled = Unlabelled.FORMAT
    released: Released = frozenset()

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
            fields = {field for _, field, _, _ in string.Formatter().parse(self.reference) if field is not None}
        except re.error as error:
            message = f"[intake] pattern must be a regular expression, found {self.pattern!r} ({error})"
            raise ConfigError(message) from error
        except ValueError as error:
            message = f"[intake] reference must be a path with placeholders, found {self.reference!r} ({error})"
            raise ConfigError(message) from error
        if fields - _PLACEHOLDERS:
            unknown = ", ".join(sorted(f"{{{field}}}" for field in fields - _PLACEHOLDERS))
            message = f"[intake] reference knows {{folder}}, {{stem}} and {{suffix}}, found {unknown}"
            raise ConfigError(message)
