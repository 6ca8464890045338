"""How a training teaches when there are few images (rule M12)."""

from dataclasses import dataclass

__all__ = ["PLAIN", "Teaching", "teach"]

FEW = 1_000
"""Originals below which classes are rarely even and a backbone of millions of images knows more than they can tell."""

MANY = 10_000
"""Originals from which a training learns every layer of its own."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What a training does differently for the sake of few images.

    Attributes:
        even_classes: whether every class is shown equally often in an epoch.
        frozen: share of the epochs in which a backbone that brings weights stays as it is, 0..1.
        thawed: share of the epochs after which all of it learns, 0..1; between the two its stages thaw one by one, the
            last first.
        backbone_rate: learning rate of the backbone for one of the rest.
        weakest_class: whether the state that is kept is the one whose weakest class stands best on validation
            (`domain/weakest.py`); else the one of the highest mAP.
        patience: share of the epochs after which a training ends that has not improved; 0 for never.
    """

    even_classes: bool = False
    frozen: float = 0.0
    thawed: float = 0.0
    backbone_rate: float = 1.0
    weakest_class: bool = False
    patience: float = 0.0

    def learning_stages(self, epoch: int, epochs: int, stages: int) -> int:
        """Return how many of a backbone's stages learn in an epoch, counted from its end.

        A training too short to freeze it for one whole epoch teaches all of it from the start.

        Args:
            epoch: 0-based.
            epochs: of the whole training.
            stages: of the backbone.
        """
        first, last = self.frozen * epochs, self.thawed * epochs
        if epoch >= last or 0 < first < 1:
            return stages
        if epoch < first:
            return 0
        return 1 + int((epoch - first) / (last - first) * (stages - 1))


PLAIN = Teaching()
"""Every image once an epoch, every layer from the first step, the state of the highest mAP."""


def teach(originals: int) -> Teaching:
    """Return the way to teach a network that brings weights, by the number of original training images.

    One from random weights is taught plainly: it has everything to learn, and images that turn and change their
    number are more to learn in the same few steps; a test line of few epochs then finds nothing of one class. That
    holds for short trainings alone: over the 28 epochs of the generated line, validation of two draws of it found 16
    of 16 of every class when taught like this and 15 of 16 of the weakest when taught plainly (mAP at IoU 0.5 0.98 and
    0.96, plainly 0.90 and 0.92).

    | originals | classes | backbone | kept state |
    |---|---|---|---|
    | below 1,000 | even | frozen for 5 % of the epochs, thawed after 15 %, half the rate | weakest class |
    | below 10,000 | even | learns from the start, half the rate | weakest class |
    | from 10,000 | as they fall | learns like the rest | weakest class |

    - *Even classes*: with few images the rare class is a handful, met once in dozens of steps; from 10,000 on it has
      images enough of its own, and showing them oftener only repeats them.
    - *Frozen, then thawed*: in the first steps the gradients of a new head are noise; what they do to the backbone, a
      few hundred images never repair. It also saves the backward pass. The freeze is short, as boards and tiles look
      unlike the photographs that the backbone knows and it has to learn them.
    - *Weakest class*: the gate asks every class, so the state that is kept is chosen by the worst one.
    - *Early stop* after four fifths of the epochs without a better one: a class of which nothing is found yet ranks the
      first epochs by chance, and with half of them tiles ended at the third epoch of four, at a high rate still.

    Args:
        originals: images of the training side that nobody made.
    """
    few, medium = originals < FEW, originals < MANY
    return Teaching(
        even_classes=medium,
        frozen=0.05 if few else 0.0,
        thawed=0.15 if few else 0.0,
        backbone_rate=0.5 if medium else 1.0,
        weakest_class=True,
        patience=0.8,
    )
