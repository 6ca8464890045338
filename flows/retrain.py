"""From raw images to a gated champion."""

from pathlib import Path

from prefect import flow, runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from flows.intake import adopt, ingest, stored_version, validate
from flows.opening import begin, by_hand, is_transient, run_name, tell_failure
from flows.parameters import Limit, LinePath, MaybeFormat
from flows.release import awaiting_approval, promote, send_alerts
from flows.telling import Teller, say
from wafergate.domain.augmentation import AugmentationPlan
from wafergate.domain.choice import ModelChoice
from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import GateDecision
from wafergate.domain.latency import ServingFigures
from wafergate.domain.near_duplicates import NearDuplicates
from wafergate.domain.report import DecisionReport
from wafergate.domain.splits import Split
from wafergate.domain.training import EpochReport
from wafergate.domain.training_rows import MemoryStep, ModelVersion, TrainingSet
from wafergate.errors import ConfigError
from wafergate.jobs import augment as augment_job
from wafergate.jobs import choose as choose_job
from wafergate.jobs import decide as decide_job
from wafergate.jobs import evaluate as evaluate_job
from wafergate.jobs import latency as latency_job
from wafergate.jobs import near_duplicates as likeness_job
from wafergate.jobs import probe as probe_job
from wafergate.jobs import report as report_job
from wafergate.jobs import split as split_job
from wafergate.jobs import train as train_job
from wafergate.jobs.plan import plan_split
from wafergate.jobs.promote import NextStep, next_step
from wafergate.jobs.training_job import choose_start
from wafergate.line import LineFile
from wafergate.terminal import spread
from wafergate.wiring import open_parts, require_source

__all__ = ["retrain"]


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def find_near_duplicates(line: LineFile, dataset_id: str) -> str:
    """Look for images that show the same part again; return the result's id."""
    with Teller() as progress:
        done = likeness_job.find_near_duplicates(open_parts(), line.near_duplicates, dataset_id, progress=progress)
    row = open_parts().facts.get(NearDuplicates, done.id)
    pairs = f"{len(row.pairs)} pair{'' if len(row.pairs) == 1 else 's'} of images show one part again"
    say(f"near-duplicates{' (known)' if done.reused else ''}: {pairs}, {row.candidates} looked at")
    if row.look_alikes:
        say(
            f"  note: {row.look_alikes} images look like more others than [near_duplicates] max_views and are not "
            "joined; name what tells parts apart in [split] group_by or neighbour_key"
        )
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def split(line: LineFile, dataset_id: str) -> str:
    """Split a dataset version, test even over classes; return the split's id."""
    done = split_job.split(open_parts(), line, dataset_id)
    row = open_parts().facts.get(Split, done.id)
    say(f"split{' (known)' if done.reused else ''}: {row.mode}, test holds {spread(row.counts['test'])} of every class")
    for warning in row.warnings:
        say(f"  note: {warning}")
    plan = plan_split(open_parts().facts, line, row)
    for power in plan.classes:
        if power.collect or power.test_per_class:
            step = f"label {power.collect} more instances"
            if power.test_per_class:
                step = f"set [split] test_per_class to {power.test_per_class} or more"
            say(
                f"  note: {power.defect_class} cannot prove {power.limit:.2f}: {power.test_instances} test instances, "
                f"all found, prove {power.best_provable:.2f}; {step}"
            )
    say(f"plan: {plan.verdict}")
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def augment(line: LineFile, split_id: str) -> str:
    """Make the training set within the caps; return its id."""
    planned = augment_job.plan_augmentation(open_parts(), line, split_id)
    say(open_parts().facts.get(AugmentationPlan, planned.id).sentence)
    with Teller() as progress:
        done = augment_job.augment(open_parts(), line, split_id, progress=progress)
    row = open_parts().facts.get(TrainingSet, done.id)
    say(f"training set{' (known)' if done.reused else ''}: {row.originals} originals, {row.augmented} augmented")
    return done.id


@task
def choose(line: LineFile, training_set_id: str) -> str:
    """Choose the candidate that is trained in full, of those that fit; return its name."""
    with Teller() as progress:
        done = choose_job.choose(open_parts(), line, training_set_id, tell=say, progress=progress)
    row = open_parts().facts.get(ModelChoice, done.id)
    table = [
        {
            "candidate": one.candidate,
            "memory MiB": one.memory_mib,
            "latency ms": one.latency_ms,
            "size MiB": one.size_mib,
            "dropped by": one.dropped_by,
            "reason": one.reason,
        }
        for one in row.standings
    ]
    create_table_artifact(table, key="model-choice", description=f"{row.winner} is trained in full")
    say(f"choice{' (known)' if done.reused else ''}: {row.winner} of {len(row.standings)} candidates")
    return row.winner


def require_no_file(weights: str) -> None:
    """Refuse one weight file for several candidates.

    Raises:
        ConfigError: there is one.
    """
    if weights:
        message = (
            "--weights takes the place of one candidate's file, and [models] candidate = 'auto' lets several compete: "
            "name the candidate, or bring the file with `wafergate weights add`"
        )
        raise ConfigError(message)


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def require_room(line: LineFile, weights: str) -> None:
    """Ask licences and weights of the line's candidate, then whether it can be trained on this machine at all."""
    parts, file = open_parts(), Path(weights) if weights else None
    start = choose_start(parts, line, weights=file)
    if file is not None and not start.licence:
        say(
            f"note: nobody stated the licence of {file}: it trains, and nothing of it is promoted until `wafergate "
            f"weights add {file} --model {start.candidate.name} --licence … --source … --line {line.path}` states it"
        )
    with Teller() as progress:
        standing = probe_job.require_room(parts, line, start.candidate, progress=progress)
    say(f"{standing.candidate} can be trained here: one image at a time takes {standing.memory_mib:.0f} MiB")
    if standing.dropped_by:
        say(f"  note: {standing.reason}; the gate asks that of the trained model")


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def train(line: LineFile, training_set_id: str, weights: str, actor: str) -> str:
    """Train and export the line's candidate; return the model's id."""
    parts, file = open_parts(), Path(weights) if weights else None
    start = choose_start(parts, line, weights=file)
    begins = f"weights {start.weights.name}" if start.weights else "random weights"
    say(f"training {start.candidate.name} at {line.models.image_size} px from {begins}")
    with Teller() as progress:

        def on_epoch(report: EpochReport) -> None:
            progress("training epochs", report.epoch, report.epochs, note=f", loss {report.loss:.2f}")

        def on_step(step: MemoryStep) -> None:
            say(
                f"memory ran out with {step.before} images at a time after epoch {step.epoch}: going on with "
                f"{step.after}, still {step.batch} behind each step"
            )

        done = train_job.train(
            parts,
            line,
            training_set_id,
            weights=file,
            by=train_job.Asked(actor, str(runtime.flow_run.id or "")),
            on_epoch=on_epoch,
            on_step=on_step,
            progress=progress,
        )
    model = parts.facts.get(ModelVersion, done.id)
    say(
        f"model {model.number}{' (known)' if done.reused else ''}: {model.epochs} epochs in {model.seconds:.0f} s, "
        f"{model.size_mib:.1f} MiB"
    )
    with Teller() as progress:
        timed = latency_job.measure_latency(parts, line, done.id, progress=progress)
    say(f"serving: {parts.facts.get(ServingFigures, timed.id).sentence}")
    if model.tile.active:
        say(f"  taught on {model.tile.rows} x {model.tile.columns} tiles, and shown whole images by the same tiles")
    for point in model.operating:
        if point.warning:
            say(f"  note: {point.warning}")
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def evaluate(line: LineFile, model_id: str) -> str:
    """Judge the exported model on the test set; return the evaluation's id."""
    with Teller() as progress:
        done = evaluate_job.evaluate(open_parts(), line, model_id, progress=progress)
    row = open_parts().facts.get(Evaluation, done.id)
    table = [
        {
            "class": item.defect_class,
            "found": f"{item.recall.hits} of {item.recall.trials}",
            "lower bound": round(item.recall.lower, 3),
            "precision": item.precision.value,
            "threshold": item.threshold,
        }
        for item in row.classes
    ]
    create_table_artifact(table, key="recall-by-class", description=f"Test figures of model {model_id}")
    say(f"judged on {row.images} test images{' before' if done.reused else ''} (look {row.look} at this test set)")
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def decide(line: LineFile, evaluation_id: str, actor: str) -> str:
    """Ask the gate; return the decision's id."""
    with Teller() as progress:
        done = decide_job.decide(open_parts(), line, evaluation_id, actor=actor, progress=progress)
    row = open_parts().facts.get(GateDecision, done.id)
    rules = [
        {
            "rule": rule.rule,
            "of": rule.subject,
            "verdict": rule.verdict.value,
            "evidence": rule.evidence,
            "next step": rule.next_step,
        }
        for rule in row.rules
    ]
    create_table_artifact(rules, key="gate", description=row.summary)
    say(f"gate{' (decided before)' if done.reused else ''}: {row.summary}")
    return done.id


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=is_transient)
def report(line: LineFile, decision_id: str) -> str:
    """Write and store the page about the decision; return the report's id."""
    with Teller() as progress:
        done = report_job.report(open_parts(), line, decision_id, progress=progress)
    row = open_parts().facts.get(DecisionReport, done.id)
    command = f"wafergate report {decision_id} --to report.html"
    told = f"    {command}\n\nStored page: `{row.page}`. Pictures of mistakes: `{row.sheet or 'none'}`."
    create_markdown_artifact(told, key="report", description="Verdict, classes, curves and pictures on one page")
    say(f"report{' (written before)' if done.reused else ''}: {command}")
    return done.id


@flow(flow_run_name=run_name, on_failure=[tell_failure])
def retrain(
    line: LinePath,
    source: str = "",
    format: MaybeFormat = "",
    limit: Limit = 0,
    weights: str = "",
    actor: str = "scheduler",
    version: str = "",
) -> str | State[str]:
    """Run the whole thread; return the gate decision's id, in a state of its own where a person must release it.

    Of a whole source the reviewed images of inspections are part as well.

    Args:
        line: path of the line file.
        source: folder, archive or s3://bucket/prefix; with its format, unless a version is given.
        format: coco, deeppcb, masks, voc or yolo.
        limit: take this many samples, spread evenly; 0 takes all.
        weights: file to start from instead of the candidate's own.
        actor: who asked for it; stands in the ledger and with the epochs that were trained.
        version: number or id of a dataset version that is there already, instead of a source.

    Raises:
        ConfigError: there is neither a source with its format nor a version, or both.
    """
    if (version and (source or format)) or not (version or (source and format)):
        message = "retrain needs either --source and --format, or --version"
        raise ConfigError(message)
    parameters = {"source": source, "format": format, "limit": limit, "weights": weights, "version": version}
    line_file = begin("retrain", line, parameters | {"actor": actor})
    if version:
        dataset = stored_version(line_file, version)
    else:
        require_source(source)
    # Asked again when training starts; asked here as well so that nobody waits for intake to hear of a wrong licence.
    if line_file.models.candidate == choose_job.AUTO:
        require_no_file(weights)
        choose_job.ask_licences(open_parts(), line_file)
    else:
        require_room(line_file, weights)
    if not version:
        dataset = ingest(line_file, source, format, limit)
        if not limit:
            dataset = adopt(line_file, dataset, actor)
    validate(line_file, dataset)
    find_near_duplicates(line_file, dataset)
    split_id = split(line_file, dataset)
    training_set = augment(line_file, split_id)
    if line_file.models.candidate == choose_job.AUTO:
        line_file = choose_job.with_winner(line_file, choose(line_file, training_set))
    model = train(line_file, training_set, weights, actor)
    evaluation = evaluate(line_file, model)
    decision = decide(line_file, evaluation, actor)
    step = next_step(open_parts(), decision)
    if step is NextStep.PROMOTE:
        promote(line_file, decision, actor, "the gate passed")
    send_alerts(line_file)
    report(line_file, decision)
    return awaiting_approval(decision) if step is NextStep.AWAIT_APPROVAL else decision


if __name__ == "__main__":
    by_hand("retrain")
