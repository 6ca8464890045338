"""Golden parts: a set is sealed with the champion's right answers, and checked through the inspection itself."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final

from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box
from wafergate.domain.golden import (
    DifferenceKind,
    GoldenAnswers,
    GoldenDifference,
    GoldenPart,
    GoldenRun,
    GoldenSet,
)
from wafergate.domain.identity import digest_of, identify
from wafergate.domain.inspection import FoundBox, InspectedImage, InspectionRun, SeenBefore
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError, SourceError
from wafergate.formats.sheet import Tile, picture_sheet
from wafergate.jobs.examine import examine_files
from wafergate.jobs.ingest import as_samples, files_of, keep_fitting, read_source
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.parts import Outcome, Parts, ahead, silent
from wafergate.jobs.promote import champion_model
from wafergate.line import LineFile
from wafergate.ports import InspectionStore, LedgerDraft, Progress, Source
from wafergate.stages.alerts import golden_alert
from wafergate.stages.golden import compare_answers, labelled_answers

__all__ = ["check_golden", "newest_set", "seal_golden"]

Answers = Mapping[str, tuple[FoundBox, ...]]

FIRST_CHECK: Final = "first check"
_REFERENCE: Final = "__reference"
_SHOWN: Final = 12  # differences on a picture; a person who sees a dozen knows enough


def seal_golden(
    parts: Parts,
    line: LineFile,
    source: Source,
    format_name: str,
    *,
    actor: str,
    reason: str,
    progress: Progress = silent,
) -> Outcome:
    """Seal the parts of a labelled source that the champion answers as they are labelled; return the set's id.

    Sealing the same parts again for another champion adds that champion's answers to the same set. Where the same
    champion answers them otherwise than was sealed, a new set follows with what it says now.

    Raises:
        PromotionError: the line has no champion.
        SourceError: nothing can be read, or the champion answers no part as it is labelled.
        TaxonomyError: labels have no defect class.
    """
    model = champion_model(parts, line.name)
    found, out = _read_parts(parts, line, source, format_name, model, progress)
    said = _answers(parts, line, found, "golden", progress)
    known = [part for part in found if part.name in said and not _wrong(part, said, line)]
    if not known:
        message = (
            f"{source.title} holds no part that model {model.number} answers as it is labelled, of {len(found)} read: "
            "golden parts are those whose answer is known to be right"
        )
        raise SourceError(message)
    digest, now = digest_of(known), parts.clock()
    set_id = _set_id(parts, line, known, model, said)
    left_out = out + len(found) - len(known)
    row = GoldenSet(set_id, line.name, digest, tuple(known), left_out, actor, reason, now)
    answers = _sealed(row, model, said, actor, parts)
    told = LedgerDraft(
        line.name, LedgerKind.SEALED, set_id, actor, reason,
        {"parts": len(known), "left_out": left_out, "digest": digest, "model": model.id},
    )  # fmt: skip
    new = parts.facts.save(row, ledger=[told])
    added = parts.facts.save(answers, ledger=[] if new else [told])
    return Outcome(set_id, reused=not (new or added))


def check_golden(parts: Parts, line: LineFile, *, progress: Progress = silent) -> Outcome:
    """Send the newest sealed set through the inspection and compare; any difference is stored and alerts.

    A champion that has no sealed answers yet is held to the labels: where it answers all parts right, its answers are
    sealed by this; where it does not, that is a difference until a person seals the set anew.

    Raises:
        NotFoundError: the line has no sealed set.
        PromotionError: the line has no champion.
    """
    model, sealed = champion_model(parts, line.name), newest_set(parts, line.name)
    known = parts.facts.find(GoldenAnswers, id=identify("golden-answers", sealed.id, model.id))
    said = _answers(parts, line, sealed.parts, sealed.id, progress)
    differences: list[GoldenDifference] = []
    for part in sealed.parts:
        if part.name not in said:
            detail = "the inspection did not answer: see the quarantine"
            differences.append(GoldenDifference(DifferenceKind.UNREAD, part.name, part.image, None, None, detail))
        elif known:
            differences += _changed(part, known[0].answers, said, line)
        else:
            differences += _wrong(part, said, line)
    now = parts.clock()
    row = GoldenRun(
        id=identify("golden-run", sealed.id, model.id, now),
        line=line.name,
        set_id=sealed.id,
        model_id=model.id,
        answers_id=known[0].id if known else "",
        parts=len(sealed.parts),
        differences=tuple(differences),
        picture=_picture(parts, line.name, differences, said, sealed) if differences else "",
        policy=line.golden,
        created_at=now,
    )
    if not known and not differences:
        parts.facts.save(_sealed(sealed, model, said, FIRST_CHECK, parts))
    alerts = [golden_alert(row, now=now)] if differences else []
    return Outcome(row.id, not parts.facts.save(row, alerts=alerts))


def newest_set(parts: Parts, line: str) -> GoldenSet:
    """Return the set of a line that is checked.

    Raises:
        NotFoundError: none is sealed.
    """
    found = parts.facts.find(GoldenSet, line=line, limit=1)
    if not found:
        message = f"line {line!r} has no golden parts: seal some with `wafergate golden seal`"
        raise NotFoundError(message)
    return found[0]


def _set_id(parts: Parts, line: LineFile, found: Sequence[GoldenPart], model: ModelVersion, said: Answers) -> str:
    """Return the id of the set that is checked now if it holds these parts and answers, else of one that follows it."""
    digest = digest_of(found)
    now = next(iter(parts.facts.find(GoldenSet, line=line.name, limit=1)), None)
    if now is not None and now.digest == digest:
        known = parts.facts.find(GoldenAnswers, id=identify("golden-answers", now.id, model.id))
        if not known or not any(_changed(part, known[0].answers, said, line) for part in found):
            return now.id
    return identify("golden", line.name, digest, now.id if now else "")


def _changed(part: GoldenPart, sealed: Answers, said: Answers, line: LineFile) -> list[GoldenDifference]:
    """Return where an answer is not the sealed one, as far as the line lets it differ."""
    policy = line.golden
    return compare_answers(part, sealed[part.name], said[part.name], iou=policy.iou, score=policy.score)


def _wrong(part: GoldenPart, said: Answers, line: LineFile) -> list[GoldenDifference]:
    """Return where an answer is not the label: by the gate's own overlap, at whatever score."""
    return compare_answers(part, labelled_answers(part.boxes), said[part.name], iou=line.gate.iou, score=1.0)


def _sealed(row: GoldenSet, model: ModelVersion, said: Answers, actor: str, parts: Parts) -> GoldenAnswers:
    own = {part.name: said[part.name] for part in row.parts}
    row_id = identify("golden-answers", row.id, model.id)
    return GoldenAnswers(row_id, row.id, row.line, model.id, own, actor, parts.clock())


def _read_parts(
    parts: Parts, line: LineFile, source: Source, format_name: str, model: ModelVersion, progress: Progress
) -> tuple[list[GoldenPart], int]:
    """Read and store the labelled images of a source; return them and how many were refused."""
    raw, refused = read_source(line, source, format_name)
    labels = line.taxonomy.resolve((box.label for item in raw for box in item.boxes), line.classes)
    examined = examine_files(parts, line, source, files_of(raw), progress=progress)
    refused.extend(examined.refused)
    kept = keep_fitting(raw, examined.record_of, refused.append, channels=model.channels)
    samples = as_samples(kept, examined.record_of, labels)
    found = [GoldenPart(item.name, item.image, item.reference, item.boxes) for item in samples]
    return found, len(refused)


def _answers(parts: Parts, line: LineFile, golden: Sequence[GoldenPart], folder: str, progress: Progress) -> Answers:
    """Inspect golden parts exactly as a lot is inspected, apart from the line's production figures."""
    aside = _Aside(parts.inspections)
    stored = _StoredParts(parts, golden, folder)
    pattern = "{folder}/{stem}" + _REFERENCE + "{suffix}" if any(part.reference for part in golden) else ""
    as_stored = line.model_copy(update={"intake": line.intake.model_copy(update={"reference": pattern})})
    inspect_lot(replace(parts, inspections=aside), as_stored, stored, "images", progress=progress)
    return {stored.original(image.name): image.detections for image in aside.kept}


class _Aside:
    """An `InspectionStore` that keeps what is saved to itself: golden parts are no production."""

    def __init__(self, real: InspectionStore) -> None:
        self._real = real
        self.kept: list[InspectedImage] = []

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> int:
        """Keep the images; nothing becomes visible, so nobody is asked to review them."""
        del run
        self.kept += images
        return 0

    def seen(self, line: str, model_id: str | None, names: Sequence[str]) -> SeenBefore:
        """Know of no earlier inspection but this check's own: golden parts are inspected anew at every check."""
        del line, model_id
        wanted = frozenset(names)
        return {(i.name, i.image): {i.reference: i.run_id} for i in self.kept if i.name in wanted}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@dataclass(frozen=True, slots=True)
class _StoredParts:
    """Golden parts in the file store as a `Source`; in a folder of their own, so that no lot has these names."""

    parts: Parts
    golden: Sequence[GoldenPart]
    folder: str

    @property
    def title(self) -> str:
        """See `Source.title`."""
        return f"golden parts {self.folder}"

    def _files(self) -> dict[str, str]:
        files = {}
        for part in self.golden:
            path = PurePosixPath(self.folder, part.name)
            files[str(path)] = part.image
            if part.reference:
                files[str(path.with_name(f"{path.stem}{_REFERENCE}{path.suffix}"))] = part.reference
        return files

    def names(self) -> Sequence[str]:
        """See `Source.names`."""
        return sorted(self._files())

    def unsafe(self) -> Sequence[tuple[str, str]]:
        """See `Source.unsafe`."""
        return ()

    def read(self, name: str) -> bytes:
        """See `Source.read`."""
        return self.parts.files.get(self._files()[name])

    def open(self, name: str) -> BinaryIO:
        """See `Source.open`."""
        return io.BytesIO(self.read(name))

    def original(self, name: str) -> str:
        """Return the name that a part was sealed under."""
        return name.removeprefix(f"{self.folder}/")


def _picture(parts: Parts, line: str, differences: Sequence[GoldenDifference], said: Answers, sealed: GoldenSet) -> str:
    """Store a sheet of the first differences, the known boxes solid and the found ones dashed."""
    known = {part.name: [item.box for item in part.boxes] for part in sealed.parts}

    def draw(item: GoldenDifference) -> Tile:
        pixels = parts.decode(parts.files.get(item.image))
        at = item.expected or item.found
        focus = Box(*at[2:]) if at else Box(0, 0, pixels.shape[1], pixels.shape[0])
        found = [Box(*box[2:]) for box in said.get(item.name, ())]
        return Tile(pixels, focus, known[item.name], found, f"{item.kind.value}: {at[0] if at else 'part'}", item.name)

    tiles = list(ahead(draw, differences[:_SHOWN]))
    return parts.files.put(picture_sheet(tiles, f"{line}: golden parts that are answered differently"))
