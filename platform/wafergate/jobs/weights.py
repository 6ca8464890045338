"""Weight files kept in the store: brought once, with their licence, and found by digest ever after."""

from collections.abc import Mapping
from pathlib import Path

from wafergate.domain.identity import digest_bytes, identify
from wafergate.domain.models import Candidate
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile

__all__ = ["add_weights", "known_candidates", "licence_of", "named_candidate", "newest_weights"]


def known_candidates(parts: Parts, line: LineFile | None = None) -> Mapping[str, Candidate]:
    """Return the package's candidates and, over them, the team's own of a line file."""
    own = line.models.candidates if line is not None else ()
    return dict(parts.catalogue) | {item.name: item for item in own}


def named_candidate(parts: Parts, line: LineFile) -> Candidate:
    """Return the candidate that a line file names.

    Raises:
        ConfigError: there is none of that name, or it does not work at the line's input size.
    """
    known, models = known_candidates(parts, line), line.models
    if models.candidate not in known:
        message = f"[models] candidate must be one of {', '.join(sorted(known))}; found {models.candidate!r}"
        raise ConfigError(message)
    candidate = known[models.candidate]
    if not candidate.takes(models.image_size):
        message = (
            f"[models] image_size must be a multiple of {candidate.image_step} from {candidate.smallest_image} to "
            f"{candidate.largest_image} for {candidate.name}, found {models.image_size}"
        )
        raise ConfigError(message)
    return candidate


def add_weights(
    parts: Parts, file: Path, candidate: str, *, licence: str, source: str, actor: str, known: Mapping[str, Candidate]
) -> Outcome:
    """Put a weight file into the store; the same file for the same candidate is kept once.

    Nothing of it is run or unpacked here; a backend reads it without running code when training starts.

    Raises:
        ConfigError: no such file or candidate, or no licence.
    """
    if candidate not in known:
        message = f"--model must be one of {', '.join(sorted(known))}; found {candidate!r}"
        raise ConfigError(message)
    if not licence.strip() or not source.strip():
        message = "--licence must be an SPDX identifier and --source say where it is written; found an empty one"
        raise ConfigError(message)
    try:
        data = file.read_bytes()
    except OSError as error:
        message = f"the weight file {file} cannot be read ({error.strerror}); check the path"
        raise ConfigError(message) from error
    if not data:
        message = f"the weight file {file} is empty; bring it again"
        raise ConfigError(message)
    digest = digest_bytes(data)
    row_id = identify("weights", candidate, digest)
    found = next(iter(parts.facts.find(WeightFile, id=row_id)), None)
    if found is not None:
        if found.licence != licence:
            message = (
                f"{file.name} is known for {candidate} under {found.licence}, brought by {found.added_by}; found "
                f"--licence {licence}: a file has one licence"
            )
            raise ConfigError(message)
        return Outcome(row_id, reused=True)
    parts.files.put(data)
    row = WeightFile(row_id, candidate, digest, file.name, len(data), licence, source, actor, parts.clock())
    return Outcome(row_id, not parts.facts.save(row))


def newest_weights(parts: Parts, candidate: str) -> WeightFile | None:
    """Return the weight file that was brought last for a candidate, if any."""
    return next(iter(parts.facts.find(WeightFile, candidate=candidate)), None)


def licence_of(parts: Parts, candidate: str, digest: str | None) -> str:
    """Return the licence that was stated for a weight file when it was brought; empty where nobody did."""
    rows = parts.facts.find(WeightFile, candidate=candidate, digest=digest) if digest else []
    return rows[0].licence if rows else ""
