"""Weight files kept in the store: brought once, with their licence, and found by digest ever after."""

from collections.abc import Mapping
from pathlib import Path

from wafergate.domain.identity import digest_bytes, identify
from wafergate.domain.models import Candidate
from wafergate.domain.training_rows import ModelVersion
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError
from wafergate.jobs.parts import Outcome, Parts
from wafergate.line import LineFile
from wafergate.ports import FactStore

__all__ = ["add_weights", "known_candidates", "licence_of", "newest_weights", "read_weights", "weights_licence_of"]


def known_candidates(parts: Parts, line: LineFile | None = None) -> Mapping[str, Candidate]:
    """Return the package's candidates and, over them, the team's own of a line file."""
    own = line.models.candidates if line is not None else ()
    return dict(parts.catalogue) | {item.name: item for item in own}


def add_weights(
    parts: Parts, file: Path, candidate: str, *, licence: str, source: str, actor: str, known: Mapping[str, Candidate]
) -> Outcome:
    """Put a weight file into the store, as the one its candidate starts from; again where it is that already.

    The backend reads it as a training will, without running code that it may carry.

    Raises:
        ConfigError: no such file or candidate, no licence or another one than before, it holds anything but weights, or
            the candidate's backend is not installed.
    """
    if candidate not in known:
        message = f"--model must be one of {', '.join(sorted(known))}; found {candidate!r}"
        raise ConfigError(message)
    if not licence.strip() or not source.strip():
        message = "--licence must be an SPDX identifier and --source say where it is written; found an empty one"
        raise ConfigError(message)
    data = read_weights(file)
    digest = digest_bytes(data)
    stated = next(iter(parts.facts.find(WeightFile, digest=digest)), None)
    if stated is not None and stated.licence != licence:
        message = (
            f"{file.name} is known for {stated.candidate} under {stated.licence}, brought by {stated.added_by}; found "
            f"--licence {licence}: a file has one licence"
        )
        raise ConfigError(message)
    newest = newest_weights(parts, candidate)
    if newest is not None and newest.digest == digest:
        return Outcome(newest.id, reused=True)
    backend = parts.published.get(known[candidate].backend)
    if backend is not None:
        backend.check(file)
    parts.files.put(data)
    now = parts.clock()
    # with the time: a file that another one took the place of can be brought again
    row_id = identify("weights", candidate, digest, now)
    row = WeightFile(row_id, candidate, digest, file.name, len(data), licence, source, actor, now)
    return Outcome(row_id, not parts.facts.save(row))


def read_weights(file: Path) -> bytes:
    """Return the bytes of a weight file.

    Raises:
        ConfigError: it cannot be read, or is empty.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        message = f"the weight file {file} cannot be read ({error.strerror}); check the path and who may read it"
        raise ConfigError(message) from error
    if not data:
        message = f"the weight file {file} is empty; bring it again"
        raise ConfigError(message)
    return data


def newest_weights(parts: Parts, candidate: str) -> WeightFile | None:
    """Return the weight file that was brought last for a candidate, if any."""
    return next(iter(parts.facts.find(WeightFile, candidate=candidate)), None)


def licence_of(facts: FactStore, digest: str | None) -> str:
    """Return the licence that was stated for a weight file when it was brought, for whatever candidate; else nothing.

    A licence goes with the bytes (rule M2): the same file is not freer where it starts another candidate.
    """
    rows = facts.find(WeightFile, digest=digest, limit=1) if digest else []
    return rows[0].licence if rows else ""


def weights_licence_of(facts: FactStore, model: ModelVersion) -> str | None:
    """Return the licence of the weights a model started from, empty where nobody named it, None where from none.

    What is stated of the file today goes before what was known when it was trained; a model of before that was kept
    has its candidate's.
    """
    if model.start is None:
        return None
    known = model.candidate.weights_licence if model.start_licence is None else model.start_licence
    return licence_of(facts, model.start) or known
