"""`wafergate augment …`: what is added to a training side, shown before it is made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line
from wafergate.cli.progress import bar
from wafergate.errors import ConfigError
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for numpy
    from wafergate.domain.ablation import Ablation
    from wafergate.domain.augmentation import AugmentationPlan, ClassPlan
    from wafergate.domain.training import EpochReport
    from wafergate.jobs.parts import Parts

__all__ = ["app"]

app = group("What augmentation adds to the training side, within its caps.")

SplitId = Annotated[str, typer.Option("--split", help="Id of a split; else the line's newest.")]


@app.command("plan")
def augment_plan(line: Line, split: SplitId = "") -> None:
    """Show what would be added, class by class; no image is made.

    The plan is stored; `wafergate retrain` carries out this very plan. One
    that passes its caps is refused with the numbers (exit code 8).

    Example: wafergate augment plan --line line.toml
    """
    from wafergate.domain.augmentation import AugmentationPlan
    from wafergate.domain.splits import Split
    from wafergate.jobs.augment import newest_split, plan_augmentation

    line_file, parts = load_line(line), ready()
    chosen = parts.facts.get(Split, split) if split else newest_split(parts, line_file)
    done = plan_augmentation(parts, line_file, chosen.id)
    _show(parts.facts.get(AugmentationPlan, done.id), reused=done.reused)


def _show(plan: "AugmentationPlan", *, reused: bool) -> None:
    from wafergate.terminal import console, table

    out = console()
    known = " (known)" if reused else ""
    out.print(f"{plan.id}{known} of {plan.split_id}", markup=False)
    columns = ("class", "images", "boxes", "added", "pasted", "in all", "factor", "target", "ended by")
    out.print(table(columns, _cells(plan.classes), numbers=columns[1:8]))
    caps, pasted = plan.caps, f", {plan.synthetic} of them composites" if plan.synthetic else ""
    out.print(f"{plan.images} images are added to {plan.originals} originals{pasted}", markup=False)
    out.print(
        f"caps: {caps['per_original']:g} of one original, {caps['per_class']:g} x a class's own boxes, "
        f"{caps['total']:g} x the originals in all",
        markup=False,
    )
    for note in plan.notes:
        out.print(f"note: {note}", markup=False)


def _cells(classes: "Sequence[ClassPlan]") -> list[tuple[object, ...]]:
    return [
        (
            row.defect_class,
            row.original_images,
            row.original_instances,
            row.added_instances,
            row.synthetic_instances,
            row.original_instances + row.added_instances,
            f"{row.factor:.2f}",
            row.target,
            row.bound_by,
        )
        for row in classes
    ]


@app.command("ablate")
def augment_ablate(
    line: Line,
    factors: Annotated[str, typer.Option("--factors", help="Whole numbers, separated by commas.")] = "0,1,3,6",
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Of the run at factor 0; 0: the line file's.")] = 0,
    split: SplitId = "",
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights to start from.")] = None,
) -> None:
    """Train short runs at several factors, and compare validation recall.

    A factor replaces the caps of [augment]: images made of one original,
    boxes of a class per own box, images per original. All runs see about the
    same number of images. A stopped command goes on with the runs still open.

    Example: wafergate augment ablate --line line.toml --factors 0,1,3,6 --epochs 8
    """
    from wafergate.domain.ablation import Ablation
    from wafergate.domain.splits import Split
    from wafergate.jobs.ablate import ablate
    from wafergate.jobs.augment import newest_split

    wanted = [part.strip() for part in factors.split(",")]
    if not all(part.isdigit() for part in wanted):
        message = f"--factors needs whole numbers such as 0,1,3,6, found {factors!r}"
        raise ConfigError(message)
    line_file, parts = load_line(line), ready()
    chosen = parts.facts.get(Split, split) if split else newest_split(parts, line_file)
    with bar() as progress:

        def on_epoch(factor: int, report: "EpochReport") -> None:
            progress(f"factor {factor}: training epochs", report.epoch, report.epochs)

        done = ablate(
            parts,
            line_file,
            chosen.id,
            [int(part) for part in wanted],
            epochs=epochs,
            weights=weights,
            on_epoch=on_epoch,
            progress=progress,
        )
    _show_ablation(parts, parts.facts.get(Ablation, done.id), reused=done.reused)


def _show_ablation(parts: "Parts", row: "Ablation", *, reused: bool) -> None:
    from wafergate.domain.ablation import FactorRun
    from wafergate.terminal import console, table

    out = console()
    out.print(
        f"{row.id}{' (known)' if reused else ''}: {row.candidate} on {row.originals} originals of {row.split_id}",
        markup=False,
    )
    cells = [
        (
            run.factor if place == 0 else "",
            run.augmented if place == 0 else "",
            run.epochs if place == 0 else "",
            item.defect_class,
            f"{item.recall.hits} of {item.recall.trials}",
            f"{item.recall.lower:.2f} to {item.recall.upper:.2f}",
            "-" if item.ap50 is None else f"{item.ap50:.2f}",
        )
        for run in (parts.facts.get(FactorRun, run_id) for run_id in row.runs)
        for place, item in enumerate(run.classes)
    ]
    columns = ("factor", "added", "epochs", "class", "found", "interval", "AP50")
    out.print(table(columns, cells, numbers=("factor", "added", "epochs", "found", "AP50")))
    out.print(f"{row.finding} (validation; only a test set judges a model)", markup=False)
