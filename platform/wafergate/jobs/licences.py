"""Licences of everything a model is made of, asked before training and again at the gate (rule M2)."""

from wafergate.domain.evidence import LicensedPart, licence_standing
from wafergate.domain.training import Candidate
from wafergate.errors import LicenceError
from wafergate.line import LineFile

__all__ = ["licensed_parts", "require_trainable"]


def licensed_parts(line: LineFile, candidate: Candidate, *, from_weights: bool) -> tuple[LicensedPart, ...]:
    """Return code, images and, where training starts from them, weights, each with its licence."""
    found = [LicensedPart("code", candidate.code_licence), LicensedPart("images", line.intake.licence)]
    if from_weights:
        found.append(LicensedPart("weights", candidate.weights_licence))
    return tuple(found)


def require_trainable(line: LineFile, parts: tuple[LicensedPart, ...]) -> None:
    """Refuse before anything is trained or downloaded what the line's policy refuses.

    Raises:
        LicenceError: names every refused part with its licence and the policy's line.
    """
    policy = line.licences
    refused = [part for part in parts if licence_standing(part.licence, policy) == "refused"]
    if refused:
        named = "; ".join(f"the {part.subject} are under {part.licence or 'no named licence'}" for part in refused)
        message = (
            f"[licences] allows {', '.join(policy.allowed) or 'nothing'}; {named}: choose another candidate, or add "
            "the licence to allowed, research_only, or exceptions with who accepted it and why"
        )
        raise LicenceError(message)
