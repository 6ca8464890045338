"""Licences of everything a model is made of, asked before training and again at the gate (rule M2)."""

from datetime import date

from wafergate.domain.licences import LicencedPart, explain_licence, licence_standing
from wafergate.domain.models import Candidate
from wafergate.errors import LicenceError
from wafergate.line import LineFile

__all__ = ["licensed_parts", "require_trainable"]


def licensed_parts(
    line: LineFile, candidate: Candidate, *, from_weights: bool, weights_licence: str = ""
) -> tuple[LicencedPart, ...]:
    """Return code, images and, where training starts from them, weights, each with its licence.

    Args:
        line: says the licence of the images.
        candidate: says the licence of the code, and of the weights its makers publish.
        from_weights: whether training starts from weights.
        weights_licence: of the very file, where somebody said it.
    """
    found = [LicencedPart("code", candidate.code_licence), LicencedPart("images", line.intake.licence)]
    if from_weights:
        found.append(LicencedPart("weights", weights_licence or candidate.weights_licence))
    return tuple(found)


def require_trainable(line: LineFile, parts: tuple[LicencedPart, ...], *, today: date) -> None:
    """Refuse before anything is trained or downloaded what the line's policy refuses.

    Raises:
        LicenceError: names every refused part with its licence and the policy's line.
    """
    policy = line.licences
    refused = [part for part in parts if licence_standing(part.licence, policy, today=today) == "refused"]
    if refused:
        named = "; ".join(
            f"the {part.subject} {'is' if part.subject == 'code' else 'are'} under "
            f"{part.licence or 'no named licence'}: {explain_licence(part.licence, policy, today=today)}"
            for part in refused
        )
        message = (
            f"{named}. Choose another candidate, or add the licence to [licences] allowed, research_only, or "
            "exceptions with who accepted it and why"
        )
        raise LicenceError(message)
