"""Licences of everything a model is made of, asked before training and again at the gate (rule M2)."""

from collections.abc import Iterable, Mapping
from datetime import date

from wafergate.domain.licences import (
    LicencedPart,
    LicencePolicy,
    explain_licence,
    held_at_once,
    licence_standing,
    may_be_used,
)
from wafergate.domain.models import Candidate, known_code_licence
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import LicenceError
from wafergate.jobs.parts import Parts
from wafergate.jobs.versions import on_version
from wafergate.jobs.weights import weights_licence_of
from wafergate.line import LineFile

__all__ = ["licensed_parts", "parts_of_model", "require_releasable", "require_trainable"]


def licensed_parts(
    catalogue: Mapping[str, Candidate],
    line: LineFile,
    candidate: Candidate,
    *,
    from_weights: bool,
    weights_licence: str | None = None,
) -> tuple[LicencedPart, ...]:
    """Return code, images and, where training starts from them, weights, each with its licence.

    A line's own entry makes no code freer than it is: what the catalogue says of its backend and architecture holds as
    well.

    Args:
        catalogue: the package's candidates.
        line: says the licence of the images; `on_version` where the dataset version is known.
        candidate: says the licence of the code, and of the weights its makers publish.
        from_weights: whether training starts from weights.
        weights_licence: of the very file; None where it is the candidate's own.
    """
    code = held_at_once([candidate.code_licence, known_code_licence(catalogue, candidate)])
    found = [LicencedPart("code", code), LicencedPart("images", line.intake.licence)]
    if from_weights:
        found.append(LicencedPart("weights", candidate.weights_licence if weights_licence is None else weights_licence))
    return tuple(found)


def parts_of_model(parts: Parts, line: LineFile, model: ModelVersion) -> tuple[LicencedPart, ...]:
    """Return what a stored model is made of: the images under the licence they were taken in under."""
    return licensed_parts(
        parts.catalogue,
        on_version(parts, line, model.dataset_id),
        model.candidate,
        from_weights=model.start is not None,
        weights_licence=weights_licence_of(parts.facts, model),
    )


def require_releasable(parts: Parts, line: LineFile, model_id: str) -> None:
    """Refuse to make a model champion whose licences the policy does not allow today: an exception may have ended.

    Raises:
        LicenceError: names every part that stands against it with its licence and the policy's line.
    """
    model, policy, today = parts.facts.get(ModelVersion, model_id), line.licences, parts.clock().date()
    said = parts_of_model(parts, line, model)
    verdict, blamed = may_be_used(said, policy, today=today)
    if verdict != "yes":
        named = _named([part for part in said if part.subject in blamed], policy, today)
        message = (
            f"model {model.number} may not be released: {named}. Add the licence to [licences] allowed, or to "
            "exceptions with who accepted it and why"
        )
        raise LicenceError(message)


def require_trainable(line: LineFile, said: Iterable[LicencedPart], *, today: date) -> None:
    """Refuse before anything is trained or downloaded what the line's policy refuses.

    Raises:
        LicenceError: names every refused part with its licence and the policy's line.
    """
    policy = line.licences
    refused = [part for part in said if licence_standing(part.licence, policy, today=today) == "refused"]
    if refused:
        named = _named(refused, policy, today)
        message = (
            f"{named}. Choose another candidate, or add the licence to [licences] allowed, research_only, or "
            "exceptions with who accepted it and why"
        )
        raise LicenceError(message)


def _named(refused: Iterable[LicencedPart], policy: LicencePolicy, today: date) -> str:
    return "; ".join(
        f"the {part.subject} {'is' if part.subject == 'code' else 'are'} under {part.licence or 'no named licence'}: "
        f"{explain_licence(part.licence, policy, today=today)}"
        for part in refused
    )
