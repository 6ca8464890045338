"""All that the gate may look at when it decides on a model."""

from dataclasses import dataclass, field
from datetime import date

from wafergate.domain.evaluation import Comparison, Evaluation
from wafergate.domain.gate import GatePolicy
from wafergate.domain.latency import ServingFigures
from wafergate.domain.licences import LicencedPart, LicencePolicy
from wafergate.domain.parity import ExportParity
from wafergate.domain.serving import ServeProfile
from wafergate.domain.splits import LeakProof, SplitMode

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a model; None means that nobody looked, which never passes.

    Attributes:
        evaluation: on the test side, at the policy's IoU and confidence.
        policy: what must be proven.
        classes: defect classes of the line.
        critical: those that `policy.critical_recall` holds for.
        serve: limits of the machine that inspects; 0 means no limit.
        serving: how long the model takes to answer in the runtime that serves it.
        size_mib: size of the exported model, MiB.
        today: exceptions to the licence policy end.
        licences: every part with a licence: code, weights it started from, images.
        licence_policy: what the line allows.
        validation_success: whether the dataset version passed validation.
        taxonomy_signed: whether the customer agreed to the mapping of labels.
        leak: the check of what was really trained on against the test side.
        split_mode: the evenness the split reached.
        split_warnings: what the splitter had to say.
        parity: the trained checkpoint and the exported file on the same images.
        comparison: with the champion on the same test set; None when there is no other champion to compare with.
    """

    evaluation: Evaluation
    policy: GatePolicy
    classes: tuple[str, ...]
    critical: tuple[str, ...] = ()
    serve: ServeProfile = field(default_factory=ServeProfile)
    serving: ServingFigures | None = None
    size_mib: float | None = None
    today: date = date.max
    licences: tuple[LicencedPart, ...] | None = None
    licence_policy: LicencePolicy = field(default_factory=LicencePolicy)
    validation_success: bool | None = None
    taxonomy_signed: bool | None = None
    leak: LeakProof | None = None
    split_mode: SplitMode | None = None
    split_warnings: tuple[str, ...] = ()
    parity: ExportParity | None = None
    comparison: Comparison | None = None

    def __post_init__(self) -> None:
        evaluation, policy = self.evaluation, self.policy
        if evaluation.side != "test":
            message = f"only the test set judges a model, found an evaluation on {evaluation.side!r}"
            raise ValueError(message)
        if (evaluation.iou, evaluation.confidence) != (policy.iou, policy.confidence):
            message = (
                f"the gate needs an evaluation at IoU {policy.iou} and confidence {policy.confidence}, "
                f"found {evaluation.iou} and {evaluation.confidence}: evaluate the model again"
            )
            raise ValueError(message)
        if not self.classes:
            message = "the gate needs the line's defect classes, found none"
            raise ValueError(message)
