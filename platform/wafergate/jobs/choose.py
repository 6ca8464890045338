"""A training set to the candidate that is trained in full: what fits the licences and the hardware, best first."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wafergate.domain.choice import BriefTraining, CandidateStanding, ModelChoice, RungResult
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.identity import identify
from wafergate.domain.models import Candidate, choosable, named_candidate
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side, Split
from wafergate.domain.training_rows import TrainingItem, TrainingSet
from wafergate.domain.weakest import weakest_class
from wafergate.domain.words import counted
from wafergate.errors import ConfigError, HardwareError, LicenceError, TrainingError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.drafts import draft_model
from wafergate.jobs.ladder import trainer_of
from wafergate.jobs.licences import licensed_parts
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.probe import probe
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start, choose_start
from wafergate.jobs.versions import on_version
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.choose import drop_misfits, halve, rung_epochs

__all__ = ["AUTO", "as_chosen", "ask_licences", "choose", "named", "with_winner"]

_ONE_FAILS = (ConfigError, HardwareError, TrainingError)
"""What keeps one candidate from being trained here, and says nothing of the others."""

AUTO = "auto"
"""`[models] candidate` that leaves the choice to the platform."""


def named(parts: Parts, line: LineFile) -> Mapping[str, Candidate]:
    """Return the candidates the choice is between: those of `[models] choose_from`, or all that are known.

    Raises:
        ConfigError: one, or the backend of one, is unknown.
    """
    chosen = choosable(parts.catalogue, line.models)
    for candidate in chosen.values():
        trainer_of(parts, candidate)
    return chosen


def as_chosen(parts: Parts, line: LineFile) -> LineFile:
    """Return a line that leaves its candidate to the platform as if its file named the one that was chosen last.

    Raises:
        ConfigError: nothing was chosen yet.
    """
    if line.models.candidate != AUTO:
        return line
    newest = parts.facts.find(ModelChoice, line=line.name, limit=1)
    if not newest:
        message = (
            f"[models] candidate is {AUTO!r}, and none was chosen for line {line.name!r} yet: run `wafergate retrain` "
            "first, or name a candidate"
        )
        raise ConfigError(message)
    return with_winner(line, newest[0].winner)


def with_winner(line: LineFile, candidate: str) -> LineFile:
    """Return the line as if its file named this candidate."""
    return line.model_copy(update={"models": replace(line.models, candidate=candidate)})


def choose(
    parts: Parts,
    line: LineFile,
    training_set_id: str,
    *,
    tell: Callable[[str], None] = lambda _sentence: None,
    progress: Progress = silent,
) -> Outcome:
    """Drop what licences or hardware forbid, and let the rest compete on validation; the test set is not looked at.

    Licence and weights are asked first, before anything is measured or trained; then memory, latency and size; what is
    left trains briefly, the better half a little longer, until one remains (rule M1). A single candidate that fits is
    not trained for comparison, and one whose training fails is dropped by that. Brief trainings are kept: a choice that
    was interrupted goes on after them, and so does one that is asked again because a candidate failed.

    Args:
        parts: the real parts.
        line: the line file.
        training_set_id: what is trained on, and the validation images that compare.
        tell: told in a sentence what happens.
        progress: told of measurements and images.

    Raises:
        ConfigError: a candidate of the line file is unknown.
        LicenceError: the policy or missing weights leave no candidate.
        HardwareError: no candidate fits; names what each needs.
    """
    training_set = parts.facts.get(TrainingSet, training_set_id)
    line = on_version(parts, line, parts.facts.get(Split, training_set.split_id).dataset_id)
    candidates = named(parts, line)
    standings = ask_licences(parts, line)
    settings = replace(line.models, candidate="", candidates=(), choose_from=(), random_start=False)
    profiles = (line.hardware.train, line.hardware.serve)
    machines = sorted({parts.machine(line.hardware.train.device, one.backend) for one in candidates.values()})
    own = (sorted(candidates.items()), settings, profiles, line.licences, *_limits(line))
    entered = sorted(name for name, standing in standings.items() if not standing.dropped_by)
    starts = [choose_start(parts, with_winner(line, name)).digest for name in entered]
    asked = (training_set_id, own, entered, starts, machines, *line.cuts)
    if parts.facts.find(ModelChoice, id=identify("choice", *asked)):
        return Outcome(identify("choice", *asked), reused=True)
    for name in entered:
        try:
            found = probe(parts, line, candidates[name], progress=progress)
        except _ONE_FAILS as error:
            standings[name] = replace(standings[name], dropped_by="training", reason=str(error))
        else:
            standings[name] = drop_misfits(standings[name], found, train=profiles[0], serve=profiles[1])
        _say(tell, standings[name])
    _require(standings, HardwareError)
    winner = _compete(parts, line, training_set_id, standings, tell, progress)
    # where other work had the memory or the disk, the choice is another one, and is made again when it is asked again
    failed = [name for name, standing in standings.items() if _failed(standing)]
    row = ModelChoice(
        id=identify("choice", *asked, *([sorted(failed)] if failed else [])),
        line=line.name,
        training_set_id=training_set_id,
        winner=winner,
        standings=tuple(standings.values()),
        created_at=parts.clock(),
    )
    return Outcome(row.id, not parts.facts.save(row))


def ask_licences(parts: Parts, line: LineFile) -> dict[str, CandidateStanding]:
    """Drop what the licence policy refuses, does not work at the input size or lacks weights; nothing is trained yet.

    Raises:
        ConfigError: a candidate of the line file is unknown.
        LicenceError: none is left.
    """
    standings = {name: _asked(parts, line, candidate) for name, candidate in named(parts, line).items()}
    _require(standings, LicenceError)
    return standings


def _asked(parts: Parts, line: LineFile, candidate: Candidate) -> CandidateStanding:
    said = licensed_parts(parts.catalogue, line, candidate, from_weights=True)
    licences = {part.subject: part.licence for part in said}
    standing = CandidateStanding(candidate.name, licences)
    chosen = with_winner(line, candidate.name)
    try:
        named_candidate(parts.catalogue, chosen.models)
    except ConfigError as error:
        return replace(standing, dropped_by="image size", reason=str(error))
    try:
        choose_start(parts, chosen)
    except LicenceError as error:
        return replace(standing, dropped_by="licence", reason=str(error))
    except ConfigError as error:
        return replace(standing, dropped_by="weights", reason=str(error))
    return standing


def _failed(standing: CandidateStanding) -> bool:
    """Say whether a candidate fell by what may pass: a training that failed, or not one image that fitted."""
    return standing.dropped_by == "training" or (standing.dropped_by == "memory" and standing.memory_mib is None)


def _say(tell: Callable[[str], None], standing: CandidateStanding) -> None:
    if standing.dropped_by:
        tell(f"{standing.candidate} is dropped by {standing.dropped_by}: {standing.reason}")
    else:
        needs = f"{standing.memory_mib:.0f} MiB, {standing.latency_ms:.1f} ms, {standing.size_mib:.1f} MiB"
        tell(f"{standing.candidate} fits: training, one image, exported model take {needs}")


def _require(standings: Mapping[str, CandidateStanding], error: type[LicenceError] | type[HardwareError]) -> None:
    """Stop when every candidate is dropped, with what dropped each."""
    if all(standing.dropped_by for standing in standings.values()):
        told = "; ".join(f"{name}: {standing.reason}" for name, standing in standings.items())
        message = f"no candidate of [models] is left. {told}"
        raise error(message)


def _compete(
    parts: Parts,
    line: LineFile,
    training_set_id: str,
    standings: dict[str, CandidateStanding],
    tell: Callable[[str], None],
    progress: Progress,
) -> str:
    left = [name for name, standing in standings.items() if not standing.dropped_by]
    for epochs in rung_epochs(len(left), line.models.epochs):
        if len(left) == 1:
            break
        results = {}
        for name in left:
            try:
                told = _brief(parts, with_winner(line, name), training_set_id, epochs, progress)
            except _ONE_FAILS as error:
                standings[name] = replace(standings[name], dropped_by="training", reason=str(error))
                _say(tell, standings[name])
                continue
            results[name] = told
            standings[name] = replace(standings[name], rungs=(*standings[name].rungs, told))
            recall = f"lowest recall {told.lowest_recall:.2f} ({told.weakest})"
            tell(f"{name}, {counted(epochs, 'epoch')}: {recall}, mean AP {told.map50:.2f}")
        _require(standings, HardwareError)
        kept, reasons = halve(results, sizes={name: standings[name].size_mib or 0.0 for name in left})
        for name, reason in reasons.items():
            standings[name] = replace(standings[name], dropped_by="validation", reason=reason)
        left = list(kept)
    return left[0]


def _brief(parts: Parts, line: LineFile, training_set_id: str, epochs: int, progress: Progress) -> RungResult:
    """Train briefly and judge the exported model on validation, unless that was done; nothing is stored as a model."""
    line = line.model_copy(update={"models": replace(line.models, epochs=epochs)})
    start = choose_start(parts, line)
    trained = (start.candidate, start.digest, line.models, line.hardware.train, *line.cuts)
    row_id = identify("rung", training_set_id, trained, _limits(line))

    def make(folder: Path) -> BriefTraining:
        result = _brief_result(parts, line, start, training_set_id, folder, progress)
        return BriefTraining(row_id, training_set_id, start.candidate.name, result, parts.clock())

    return made_once(parts, BriefTraining, row_id, make, progress=progress)[0].result


def _limits(line: LineFile) -> tuple[object, ...]:
    """Return what judging on validation rests on."""
    return ("weakest class where half is right", line.gate.iou)


def _brief_result(
    parts: Parts, line: LineFile, start: Start, training_set_id: str, folder: Path, progress: Progress
) -> RungResult:
    training_set = parts.facts.get(TrainingSet, training_set_id)
    artefact = train_items(
        parts,
        line,
        start,
        parts.facts.find(TrainingItem, training_set_id=training_set_id),
        folder,
        channels=training_set.channels,
        told=Told(lambda report: progress(f"trying {start.candidate.name}", report.epoch, report.epochs), progress),
    )
    detector = open_judge(parts, draft_model(parts, line, start.candidate, artefact), artefact.onnx)
    validation = samples_on(parts, training_set.split_id, Side.VALIDATION)
    stage = f"judging {start.candidate.name} on validation"
    said = run_detector(parts, detector, validation, training_set.channels, stage=stage, progress=progress)
    return _judge(line, validation, said, epochs=line.models.epochs)


def _judge(
    line: LineFile, validation: Sequence[Sample], detections: Sequence[Detections], *, epochs: int
) -> RungResult:
    truth = [Truth.of(sample.boxes, line.classes) for sample in validation]
    if not any(len(item.classes) for item in truth):
        message = "candidates are compared on validation, which holds no defect: lower [split] test_per_class"
        raise TrainingError(message)
    seen = weakest_class(truth, detections, len(line.classes), iou=line.gate.iou)
    shown = [pair for pair in zip(seen.recalls, line.classes, strict=True) if not math.isnan(pair[0])]
    lowest, weakest = min(shown)
    return RungResult(epochs, lowest, weakest, seen.ap50)
