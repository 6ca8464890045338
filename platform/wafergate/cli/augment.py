"""`wafergate augment …`: what is added to a training side, shown before it is made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wafergate.cli.opening import group, ready
from wafergate.cli.options import Line
from wafergate.line import load_line

if TYPE_CHECKING:  # a command's help must not wait for numpy
    from wafergate.domain.augmentation import AugmentationPlan, ClassPlan

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
