"""From an original and a planned variant of it to the pixels a model sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.augmentation import OperationKind, Variant
from wafergate.domain.models import Channels
from wafergate.domain.operations import Operation, changes_light, parse_operations
from wafergate.domain.samples import Sample
from wafergate.jobs.parts import Parts
from wafergate.stages.compose import compose
from wafergate.stages.paste import paste
from wafergate.stages.pixels import apply_operations

__all__ = ["Original"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Original:
    """A decoded sample: its image, and its golden reference where it has one, `(h, w, 3)`."""

    image: Pixels
    reference: Pixels | None
    channels: Channels

    @classmethod
    def load(cls, parts: Parts, sample: Sample, channels: Channels) -> Self:
        """Fetch and decode a sample."""
        image = parts.decode(parts.files.get(sample.image))
        golden = channels is Channels.GOLDEN and sample.reference
        return cls(image, parts.decode(parts.files.get(golden)) if golden else None, channels)

    def render(self, parts: Parts, variant: Variant, donors: Mapping[str, Sample]) -> Pixels:
        """Return what the model sees of a variant, `(h, w, 3)`.

        A golden reference is one stored file, and lamp and sensor change only what is inspected: light and pasted
        defects change the image and not the reference, and the difference between them shows it, as it will at
        inspection. What moves pixels moves image, reference and difference alike.

        Args:
            parts: the real parts; they fetch the donor of a composite.
            variant: what is done, changes of light first.
            donors: the training side by name.

        Raises:
            SourceError: the channels need a golden reference and the sample has none.
        """
        operations = parse_operations(variant.operations)
        image = self.image
        for operation in operations:
            if changes_light(operation):
                image = self._lit(parts, image, operation, donors.get(variant.donor))
        seen = compose(image, self.reference, self.channels)
        moves = [operation for operation in operations if not changes_light(operation)]
        return np.asarray(apply_operations(moves, seen), dtype=np.uint8)

    def _lit(self, parts: Parts, image: Pixels, operation: Operation, donor: Sample | None) -> Pixels:
        if operation.kind is not OperationKind.COMPOSITE or donor is None:
            return np.asarray(apply_operations((operation,), image), dtype=np.uint8)
        label = donor.boxes[int(operation.numbers[0])]
        return paste(operation, image, parts.decode(parts.files.get(donor.image)), label)
