"""A candidate to the weight file its makers publish: licence first, then the download, then its digest."""

import shutil
from pathlib import Path

from wafergate.domain.identity import digest_bytes
from wafergate.domain.models import Candidate, require_backend
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError, LicenceError, ServiceError, StorageError
from wafergate.jobs.licences import licensed_parts, require_trainable
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.training_folder import work_folder
from wafergate.jobs.weights import add_weights, known_candidates, newest_weights
from wafergate.line import LineFile
from wafergate.ports import Progress

__all__ = ["fetch_weights", "weights_address"]


def fetch_weights(
    parts: Parts, line: LineFile, name: str, *, actor: str, again: bool = False, progress: Progress = silent
) -> Outcome:
    """Fetch the published weights of a candidate into the store, unless training starts from them already.

    Args:
        parts: the real parts.
        line: its policy is asked, its own candidates are known.
        name: of the candidate.
        actor: who does it.
        again: whether to fetch what is there once more and compare.
        progress: told how far the download is.

    Raises:
        ConfigError: no such candidate, nobody says where its weights lie, or the file holds anything but weights.
        LicenceError: the policy refuses the code or the weights, or nobody names their licence; nothing was fetched.
        ServiceError: the network or the file is not there.
        StorageError: the file is not the one it should be.
    """
    known = known_candidates(parts, line)
    if name not in known:
        message = f"there is no candidate {name!r}; the catalogue and {line.path.name} have {', '.join(sorted(known))}"
        raise ConfigError(message)
    candidate = known[name]
    _require_licence(parts, line, candidate)
    url = weights_address(parts, candidate)
    kept = [row for row in parts.facts.find(WeightFile, candidate=name) if row.source.split(" ")[0] == url]
    newest = newest_weights(parts, name)
    if kept and not again and newest is not None and newest.digest == kept[0].digest:
        return Outcome(newest.id, reused=True)
    with work_folder(parts, f"weights-{name}", progress) as folder:
        try:
            file = folder / Path(url.partition("?")[0]).name
            _download(parts, candidate, url, file, progress)
            _require_digest(candidate, url, digest_bytes(file.read_bytes()), kept)
            source = f"{url} ({candidate.licence_source})"
            return add_weights(
                parts, file, name, licence=candidate.weights_licence, source=source, actor=actor, known=known
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # of a download that failed nothing is worth a look


def _require_licence(parts: Parts, line: LineFile, candidate: Candidate) -> None:
    if not candidate.weights_licence:
        message = (
            f"nobody names the licence of the published weights of {candidate.name} ({candidate.licence_source}): ask "
            f"their makers, then bring the file with `wafergate weights add FILE --model {candidate.name} --licence "
            "SPDX-ID --source …`"
        )
        raise LicenceError(message)
    needed = licensed_parts(parts.catalogue, line, candidate, from_weights=True)
    downloaded = tuple(part for part in needed if part.subject != "images")
    require_trainable(line, downloaded, today=parts.clock().date())


def weights_address(parts: Parts, candidate: Candidate) -> str:
    """Return where the makers of a candidate publish its weights.

    Raises:
        ConfigError: nobody says where.
    """
    require_backend(candidate, parts.published)
    url = candidate.weights_url or parts.published[candidate.backend].address(candidate.architecture)
    if not url:
        message = (
            f"{candidate.backend} names no published weights of {candidate.name}: bring a file with `wafergate weights "
            f"add FILE --model {candidate.name}`, or state weights_url in an entry of your own, [[models.candidates]]"
        )
        raise ConfigError(message)
    return url


def _download(parts: Parts, candidate: Candidate, url: str, file: Path, progress: Progress) -> None:
    try:
        parts.download(url, file, progress=progress)
    except ServiceError as error:
        message = (
            f"{error}: fetch {url} on a machine that reaches it, and bring the file with `wafergate weights add "
            f"{file.name} --model {candidate.name} --licence {candidate.weights_licence} --source {url}`"
        )
        raise ServiceError(message) from error


def _require_digest(candidate: Candidate, url: str, found: str, kept: list[WeightFile]) -> None:
    """Hold a download against the digest its makers state, or else against the first one of this address."""
    stated = candidate.weights_sha256
    required = stated or (kept[-1].digest if kept else found)  # rows come newest first
    if found != required:
        said = "its makers state" if stated else f"the download of {kept[-1].created_at:%Y-%m-%d} had"
        message = (
            f"the weights of {candidate.name} at {url} have SHA-256 {found}, but {said} {required}; nothing was kept. "
            "Ask their makers, and bring a file you trust with `wafergate weights add`"
        )
        raise StorageError(message)
