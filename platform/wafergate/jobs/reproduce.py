"""A stored model trained again from what its rows remember, and compared with itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wafergate.domain.evaluation import Truth
from wafergate.domain.identity import identify
from wafergate.domain.parity import ExportParity, compare_exports
from wafergate.domain.reproduction import Reproduction, judge_likeness
from wafergate.domain.runs import FlowRun, LineFileVersion
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.domain.training import EpochReport
from wafergate.domain.training_rows import ModelVersion, TrainingItem, TrainingSet
from wafergate.errors import ConfigError, NotFoundError
from wafergate.jobs.augment import plan_identity, samples_on
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.licences import licensed_parts, require_trainable
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.train import freeze, model_identity
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start
from wafergate.jobs.versions import on_version
from wafergate.jobs.weights import licence_of
from wafergate.line import LineFile, parse_line
from wafergate.ports import FactStore, Progress

__all__ = ["find_model", "line_file_of", "reproduce"]


def find_model(facts: FactStore, named: str, line: str = "") -> ModelVersion:
    """Return the model that a person means by `named`.

    Args:
        facts: the store.
        named: id of a model or of the flow run that trained it, the first eight or more characters of either, or the
            model's number on a line.
        line: name of the line that a number is of; a store with one line needs none.

    Raises:
        ConfigError: a number or a beginning fits several models.
        NotFoundError: it fits none.
    """
    models = facts.find(ModelVersion, line=line) if line else facts.find(ModelVersion)
    if named.isdecimal() and len(named) < 8:
        found = [model for model in models if model.number == int(named)]
    else:
        found = [model for model in models if model.id.startswith(named) or model.run_id.startswith(named)]
        found = found if len(named) >= 8 else []
    if len(found) > 1:
        message = f"{named!r} fits {len(found)} models, of {', '.join(sorted({m.line for m in found}))}: name --line"
        raise ConfigError(message)
    if not found:
        of = f"line {line!r}" if line else "any line"
        message = (
            f"no model of {of} is {named!r}: give a model's number, its id or the id of the run that trained it "
            "(eight characters or more); a run that trained nothing new has no model of its own"
        )
        raise NotFoundError(message)
    return found[0]


def line_file_of(facts: FactStore, model: ModelVersion) -> LineFile:
    """Return the stored line file that a model was trained under: that of its flow run, where one trained it.

    A model's id is made from the settings it was trained with, and its training set's plan from classes and
    augmentation: only a line file that gives both trains it again.

    Raises:
        NotFoundError: none of the stored ones does.
    """
    start = Start(model.candidate, None, model.start)
    taught = facts.get(TrainingSet, model.training_set_id)
    runs = facts.find(FlowRun, id=model.run_id) if model.run_id else []
    kept = facts.find(LineFileVersion, id=runs[0].line_file) if runs else facts.find(LineFileVersion, line=model.line)
    for version in kept:
        try:
            line = parse_line(version.text, Path(f"{model.line}.toml")).model_copy(update={"tile": model.tile})
        except ConfigError:
            continue  # of a version of wafergate with other keys
        planned = taught.plan_id in {None, plan_identity(line, taught.split_id, line.augment)}
        if planned and model_identity(line, start, model.training_set_id) == model.id:
            return line
    message = (
        f"no stored line file of {model.line!r} gives model {model.number} ({model.id[:12]}): it was trained without a "
        "flow, or by a version of wafergate with other settings; check that version out to train it again"
    )
    raise NotFoundError(message)


def reproduce(
    parts: Parts,
    model: ModelVersion,
    *,
    actor: str,
    code: str = "",
    on_epoch: Callable[[EpochReport], None] = lambda _report: None,
    progress: Progress = silent,
) -> Outcome:
    """Train a model again from its own line file, images, weights and seed, and compare the two.

    The second model is kept as a file to look at; it gets no version, so nothing can promote it. On the same machine
    with the same code a second call finds the first one's row.

    Args:
        parts: the real parts.
        model: the stored model.
        actor: who asks.
        code: version of wafergate that trains now.
        on_epoch: told after every epoch.
        progress: told how far the other steps are.

    Raises:
        NotFoundError: its line file or the weights it started from are not in the store.
        LicenceError: the policy refuses a part by now.
        HardwareError: memory ran out with one image at a time.
        TrainingError: training or export failed.
    """
    line = line_file_of(parts.facts, model)
    stated = licence_of(parts.facts, model.start)  # as when it was trained: what nobody stated trains
    needed = licensed_parts(
        parts.catalogue,
        on_version(parts, line, model.dataset_id),
        model.candidate,
        from_weights=model.start is not None,
        weights_licence=stated or None,
    )
    require_trainable(line, needed, today=parts.clock().date())
    machine = parts.machine(line.hardware.train.device, model.candidate.backend)
    row_id = identify("reproduction", model.id, machine, code)

    def make(folder: Path) -> Reproduction:
        artefact = train_items(
            parts,
            line,
            Start(model.candidate, parts.files.fetch(model.start) if model.start else None, model.start),
            parts.facts.find(TrainingItem, training_set_id=model.training_set_id),
            folder,
            channels=model.channels,
            # As many as the stored training ended with: sums over batches round by how they are cut.
            micro_batch=model.micro_batch,
            told=Told(on_epoch, progress),
        )
        onnx = parts.files.put(artefact.onnx.read_bytes())
        validation = samples_on(parts, model.split_id, Side.VALIDATION)
        agreement, thresholds = _compare(parts, line, model, replace(model, onnx=onnx), validation, progress)
        return Reproduction(
            id=row_id,
            line=model.line,
            model_id=model.id,
            line_file=line.digest,
            onnx=onnx,
            likeness=judge_likeness(model.onnx, onnx, agreement),
            agreement=agreement,
            thresholds=thresholds,
            machine=machine,
            code=(_code_of(parts.facts, model), code),
            libraries=_differing(model.versions, artefact.versions),
            seconds=artefact.seconds,
            actor=actor,
            created_at=parts.clock(),
        )

    _, reused = made_once(parts, Reproduction, row_id, make, progress=progress)
    return Outcome(row_id, reused)


def _compare(
    parts: Parts,
    line: LineFile,
    model: ModelVersion,
    second: ModelVersion,
    validation: Sequence[Sample],
    progress: Progress,
) -> tuple[ExportParity, dict[str, tuple[float, float]]]:
    """Return what both say of the validation images, and each class's threshold, stored and found again."""
    points = freeze(parts, line, second, validation, progress=progress)
    stage = "comparing on validation"
    stored, again = (
        run_detector(parts, open_judge(parts, each), validation, each.channels, stage=stage, progress=progress)
        for each in (model, second)
    )
    truth = [Truth.of(item.boxes, model.classes) for item in validation]
    thresholds = {point.defect_class: (model.thresholds[point.defect_class], point.threshold) for point in points}
    return compare_exports(stored, again, truth, model.classes), thresholds


def _code_of(facts: FactStore, model: ModelVersion) -> str:
    runs = facts.find(FlowRun, id=model.run_id) if model.run_id else []
    return runs[0].code if runs else ""


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names = sorted(before.keys() | now.keys())
    return {name: (before.get(name, ""), now.get(name, "")) for name in names if before.get(name) != now.get(name)}
