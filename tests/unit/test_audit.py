"""The review queue of inspections: what is drawn, what comes back, and what that proves about production."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tests import rows
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import LINE, parts_in, run_thread
from wafergate.adapters.memory import MemoryFacts, MemoryInspections
from wafergate.adapters.postgres.tables import KINDS
from wafergate.domain.bounds import lower_bound, upper_bound
from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectedImage
from wafergate.domain.production import (
    ProductionDraw,
    ProductionFigures,
    ProductionItem,
    ReviewedImage,
    ReviewPolicy,
    Stratum,
)
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.sampling import audit_count, audit_order, common_share
from wafergate.domain.splits import Side, Split, SplitMember
from wafergate.domain.tiling import TilePolicy, Tiling
from wafergate.errors import NotFoundError, SourceError
from wafergate.formats import READERS, ReadOptions
from wafergate.jobs.adopt import adopt
from wafergate.jobs.audit import EXPORTED, Brought, audit_queue, bring_truth, export_queue, find_export
from wafergate.jobs.draw import queue_run
from wafergate.jobs.inspect_lot import inspect_chunk, inspect_lot, open_inspector
from wafergate.jobs.parts import Parts
from wafergate.jobs.production_figures import production_figures
from wafergate.jobs.promote import champion_model, promote
from wafergate.jobs.split import split
from wafergate.jobs.taxonomy import agreed
from wafergate.line import LineFile, parse_line
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.cover import cover
from wafergate.stages.draw import draw

pytestmark = pytest.mark.unit

EVERYTHING = dict.fromkeys(Stratum, 10**6)
THRESHOLDS = {"scratch": 0.5}


# The random audit


def test_every_image_has_the_same_chance_however_small_the_run() -> None:
    runs, share = 4000, 0.07
    drawn: Counter[int] = Counter()
    for run in range(runs):
        drawn.update(audit_order(f"run-{run}", 9)[: audit_count(f"run-{run}", 9, share)])
    low, high = binom.ppf([1e-5, 1 - 1e-5], runs, share)
    assert all(low <= drawn[place] <= high for place in range(9))


@given(st.text(max_size=20), st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_share_draws_the_first_images_of_a_larger_one(run: str, images: int, one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert 0 <= audit_count(run, images, low) <= audit_count(run, images, high) <= images
    assert abs(audit_count(run, images, high) - images * high) <= 1


def test_runs_are_put_together_at_the_share_that_keeps_most_audited_images() -> None:
    assert common_share([(1000, 0.05), (1000, 0.04), (0, 1.0), (500, 0.0)]) == 0.04
    assert common_share([(2000, 0.02), (10000, 0.001)]) == 0.02
    assert common_share([(10, 0.0)]) == 0.0


def inspected(
    run: str, place: int, *, score: float = 0.9, weak: Sequence[float] = (), **changes: Any
) -> InspectedImage:
    found = tuple(("scratch", value, 0.0, 0.0, 10.0, 10.0) for value in (score,) if value >= THRESHOLDS["scratch"])
    image = InspectedImage(
        run_id=run, position=place, line="x", model_id="m", name=f"{place}.png", image=f"{run}-{place}",
        captured_at=rows.NOW, detections=found, weak=tuple(("scratch", s, 0.0, 0.0, 9.0, 9.0) for s in weak),
    )  # fmt: skip
    return replace(image, **changes)


def picked_by(images: Sequence[InspectedImage], policy: ReviewPolicy, **changes: Any) -> dict[Stratum, list[int]]:
    told: dict[str, Any] = {"share": policy.audit, "left": EVERYTHING, "queued": ()} | changes
    found: dict[Stratum, list[int]] = {stratum: [] for stratum in Stratum}
    for item in draw(images, THRESHOLDS, policy, **told):
        found[item.stratum].append(item.image.position)
    return found


def test_the_audit_knows_nothing_of_what_is_on_the_images() -> None:
    policy = ReviewPolicy(audit=0.2)
    plain = [inspected("run-1", place) for place in range(200)]
    strange = [
        inspected("run-1", place, score=0.51, novelty=float(place), weak=(0.49,) * (place % 2)) for place in range(200)
    ]
    assert picked_by(plain, policy)[Stratum.AUDIT] == picked_by(strange, policy)[Stratum.AUDIT]
    assert len(picked_by(plain, policy)[Stratum.AUDIT]) == 40


def test_the_nearest_score_first_then_the_farthest_image_and_none_twice() -> None:
    images = [
        inspected("run-1", 0, score=0.9),
        inspected("run-1", 1, score=0.55),
        inspected("run-1", 2, score=0.9, weak=(0.49, 0.3), novelty=9.0),
        inspected("run-1", 3, score=0.9, weak=(0.39,), novelty=5.0),
        inspected("run-1", 4, score=0.9, novelty=7.0),
    ]
    policy = ReviewPolicy(audit=0, near=1, far=1, margin=0.2)
    assert picked_by(images, policy) == {Stratum.AUDIT: [], Stratum.NEAR: [2, 1], Stratum.FAR: [4, 3]}
    one_each = replace(policy, near=0.2, far=0.2)
    assert picked_by(images, one_each) == {Stratum.AUDIT: [], Stratum.NEAR: [2], Stratum.FAR: [4]}
    assert picked_by(images, policy, queued={"run-1-2"}, left=EVERYTHING | {Stratum.FAR: 1}) == {
        Stratum.AUDIT: [], Stratum.NEAR: [1], Stratum.FAR: [4],
    }  # fmt: skip
    reasons = [item.detail for item in draw(images, THRESHOLDS, policy, share=0, left=EVERYTHING, queued=())]
    assert reasons[0] == "scratch scores 0.490, the threshold is 0.500"


def production(seed: int) -> tuple[list[ProductionDraw], list[ProductionItem], dict[str, bool], list[ProductionItem]]:
    """Return runs drawn at several shares, with the truth whether the one defect of each image was found.

    Recall differs from run to run, and the hard images score near the threshold.
    """
    random = np.random.default_rng(seed)
    draws, items, found, near = [], [], {}, []
    for number, (images, share) in enumerate([(300, 0.1), (900, 0.1), (150, 0.2), (2000, 0.004)]):
        run = rows.production_draw("x", "m", run=f"{seed}-{number}", images=images, share=share)
        draws.append(run)
        easy = random.random(images) < 0.8 + 0.05 * number
        hit = random.random(images) < np.where(easy, 0.97, 0.4)
        found |= {f"{run.run_id}-{place}": bool(hit[place]) for place in range(images)}
        order = audit_order(run.run_id, images)[: audit_count(run.run_id, images, share)]
        for rank, place in enumerate(order):
            items.append(rows.production_item(run, f"{run.run_id}-{place}", rank))
        hard = np.flatnonzero(~easy)[:10].tolist()
        near += [rows.production_item(run, f"{run.run_id}-{place}", 0, Stratum.NEAR) for place in hard]
    return draws, items, found, near


def test_bounds_from_the_audit_hold_the_true_recall_as_often_as_they_say_and_hard_images_would_not() -> None:
    trials, confidence = 400, 0.95
    above = below = misled = 0
    estimates, truths = [], []
    for seed in range(trials):
        draws, items, found, near = production(seed)
        covered = cover(draws, [*items, *near], found)
        assert covered.share == 0.1  # the run of the smallest share would cost most of the audited images
        assert covered.uncovered == 2000
        speaks = {draw.run_id for draw in covered.draws}
        truth = np.mean([hit for image, hit in found.items() if image.rpartition("-")[0] in speaks])
        hits, size = sum(found[item.image] for item in covered.items), len(covered.items)
        below += truth < lower_bound(hits, size, confidence)
        above += truth > upper_bound(hits, size, confidence)
        misled += truth > upper_bound(sum(found[item.image] for item in near), len(near), confidence)
        estimates.append(hits / size)
        truths.append(truth)
    most = binom.ppf(0.999, trials, 1 - confidence)
    assert max(below, above) <= most
    assert misled > 0.99 * trials
    spread = np.std(np.subtract(estimates, truths)) / np.sqrt(trials)
    assert abs(np.mean(estimates) - np.mean(truths)) < 4 * spread


def test_a_run_counts_once_all_of_its_audit_was_looked_at() -> None:
    draws = [rows.production_draw("x", "m", run=str(number), images=20, share=0.5) for number in range(3)]
    items = [rows.production_item(run, f"{run.run_id}-{rank}", rank) for run in draws[:2] for rank in range(10)]
    reviewed = {item.image for item in items} - {items[3].image}
    covered = cover(draws, items, reviewed)
    assert [draw.id for draw in covered.draws] == [draws[1].id, draws[2].id]
    assert (len(covered.items), covered.waiting, covered.uncovered) == (10, 1, 0)


# The thread


def line_with(review: str = "audit = 1.0", folder: Path = Path()) -> LineFile:
    return parse_line(LINE + f"\n[review]\n{review}\n", folder / "line.toml")


Files = dict[str, bytes]
CLASSES = ("particle", "scratch", "bridge", "void")


def drawn_dies(folder: Path, seed: int, each: int, normal: int, lots: int) -> Files:
    batch = Batch(images=dict.fromkeys(CLASSES, each), normal=normal, lots=lots)
    write_sample(folder, seed=seed, batches=(batch,), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return drawn_dies(tmp_path_factory.mktemp("taught"), 3, 14, 12, 10)


@pytest.fixture(scope="module")
def arriving(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return drawn_dies(tmp_path_factory.mktemp("arriving"), 8, 5, 6, 3)


@pytest.fixture(scope="module")
def crowned(taught: Files, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    made = parts_in(tmp_path_factory.mktemp("crowned"))
    promote(made, run_thread(made, line_with(), MemorySource(taught)).decision.id, actor="kim", reason="passes")
    return made


@pytest.fixture
def parts(crowned: Parts, tmp_path: Path) -> Parts:
    """Stores of one's own for each test, with a champion in them."""
    facts = MemoryFacts(clock=crowned.clock)
    for kind in KINDS:
        facts.save_all(crowned.facts.find(kind))
    return replace(crowned, facts=facts, inspections=MemoryInspections(facts), work=tmp_path / "work")


def exported(parts: Parts, line: LineFile, **changes: Any) -> Files:
    return dict(export_queue(parts, line, audit_queue(parts, line.name), **changes))


def document(files: Files) -> dict[str, Any]:
    return dict(json.loads(files["coco/annotations.json"]))


def true_boxes(parts: Parts, arriving: Files, files: Files) -> Files:
    """Return what came back from a reviewer who sees everything: the boxes the dies were drawn with."""
    known = json.loads(arriving["annotations.json"])
    labels = {row["id"]: row["name"] for row in known["categories"]}
    drawn: dict[str, list[Any]] = {image["file_name"]: [] for image in known["images"]}
    names = {image["id"]: image["file_name"] for image in known["images"]}
    for row in known["annotations"]:
        drawn[names[row["image_id"]]].append((labels[row["category_id"]], row["bbox"]))
    told = document(files)
    numbers = {row["name"]: row["id"] for row in told["categories"]}
    items = {row.id: row.name for row in parts.facts.find(ProductionItem)}
    shown = {name: items[item] for name, (item, _) in find_export(parts, "dies").items.items()}
    told["annotations"] = [
        {"id": number, "image_id": image["id"], "category_id": numbers[label], "bbox": box}
        for image in told["images"]
        for number, (label, box) in enumerate(drawn[Path(shown[image["file_name"]]).name], start=1000 * image["id"])
    ]
    return {"annotations.json": json.dumps(told).encode()}


def back(parts: Parts, files: Files, line: LineFile | None = None, **changes: Any) -> Brought:
    who: dict[str, Any] = {"title": "folder", "actor": "Lee", "reason": "week 12"} | changes
    return bring_truth(parts, line or line_with(), files, find_export(parts, "dies"), **who)


def overlap(one: Sequence[float], two: Sequence[float]) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - shared)


def counted(parts: Parts) -> dict[str, tuple[int, int, int, int]]:
    """Count instances, found, detections and right detections of each class with plain loops."""
    truths = {row.image: row for row in parts.facts.find(ReviewedImage)}
    counts = {name: [0, 0, 0, 0] for name in ("excess", "missing")}
    for item in parts.facts.find(ProductionItem):
        free = [(box.defect_class, box.box.as_tuple()) for box in truths[item.image].boxes]
        for name, _ in free:
            counts[name][0] += 1
        for name, _, *corners in sorted(item.detections, key=lambda found: -found[1]):
            counts[name][2] += 1
            near = [(overlap(corners, box), place) for place, (label, box) in enumerate(free) if label == name]
            best, place = max(near, default=(0.0, -1))
            if best >= 0.3:
                free.pop(place)
                counts[name][1] += 1
                counts[name][3] += 1
    return {name: (found[0], found[1], found[2], found[3]) for name, found in counts.items()}


def test_from_an_inspection_to_recall_in_production_and_the_next_dataset_version(parts: Parts, arriving: Files) -> None:
    line = line_with()
    run = inspect_lot(parts, line, MemorySource(arriving), "coco").id
    files = exported(parts, line)
    (row,) = parts.facts.find(ProductionDraw)
    assert (row.run_id, row.images, row.known, row.share) == (run, 26, 0, 1.0)
    proposed = sum(len(item.detections) for item in parts.facts.find(ProductionItem))
    assert len(document(files)["annotations"]) == proposed > 0
    assert {name for name in files if name.endswith(".png")} == {
        f"coco/{i['file_name']}" for i in document(files)["images"]
    }

    truth = true_boxes(parts, arriving, files)
    assert back(parts, truth, dry=True).new == 26
    assert parts.facts.find(ReviewedImage) == []
    done = back(parts, truth)
    assert (done.looked, done.new, done.missing) == (26, 26, 0)
    assert back(parts, truth).new == 0
    assert len(parts.facts.find(ReviewedImage)) == 26
    entry = parts.facts.ledger("dies")[-1]
    assert (entry.kind, entry.actor, entry.reason, entry.details["images"]) == ("reviewed", "Lee", "week 12", 26)

    first = production_figures(parts, line, *done.models)
    assert production_figures(parts, line, *done.models) == (first.id, True)
    figures = parts.facts.get(ProductionFigures, first.id)
    assert (figures.images, figures.inspected, figures.waiting, figures.share) == (26, 26, 0, 1.0)
    found = figures.by_class()
    assert {
        name: (item.recall.trials, item.recall.hits, item.precision.trials, item.precision.hits)
        for name, item in found.items()
    } == counted(parts)
    assert 0 < found["excess"].recall.lower < found["excess"].recall.hits / found["excess"].instances

    made = adopt(parts, line, actor="Lee", reason="week 12")
    version = parts.facts.get(DatasetVersion, made.id)
    assert (version.parent, version.images, made.added, made.left_out) == (made.parent, 68 + 26, 26, ())
    again = adopt(parts, line, actor="Lee", reason="week 12")
    assert (again.id, again.added, again.known, again.differing) == (made.id, 0, 26, 0)
    assert parts.facts.ledger("dies")[-1].kind is LedgerKind.ADOPTED
    anew = adopt(parts, line, made.parent, actor="scheduler", reason="the source was read again")
    assert (anew.id, anew.added, len(parts.facts.find(DatasetVersion))) == (made.id, 26, 2)


SMEAR = '{ raw = "smear", defect_class = "missing", rationale = "something is gone" },'


@pytest.mark.parametrize(("mapped", "signer", "signed"), [(SMEAR, "", False), (SMEAR, "Lee", True), ("", "Lee", False)])
def test_a_merge_that_comes_with_a_review_needs_a_signature_of_its_own(
    parts: Parts, arriving: Files, mapped: str, signer: str, signed: bool
) -> None:
    """The last case is a mapping that was taken out of the line file again before the images were adopted."""
    unsigned = parse_line(LINE.replace("map = [", f"map = [{SMEAR}").replace("Lee", ""), Path("line.toml"))
    inspect_lot(parts, line_with(), MemorySource(arriving), "coco")
    told = json.loads(true_boxes(parts, arriving, exported(parts, line_with()))["annotations.json"])
    for category in told["categories"]:
        category["name"] = category["name"].replace("void", "smear")
    back(parts, {"annotations.json": json.dumps(told).encode()}, unsigned)
    line = parse_line(LINE.replace("map = [", f"map = [{mapped}").replace("Lee", signer), Path("line.toml"))
    made = adopt(parts, line, actor="Lee", reason="week 12")
    assert parts.facts.get(DatasetVersion, made.parent).taxonomy_signed
    assert agreed(parts, parts.facts.get(DatasetVersion, made.id)) is signed


def test_adopted_images_follow_the_group_that_judged_and_never_teach(
    parts: Parts, taught: Files, arriving: Files
) -> None:
    line = line_with()
    before = split_sides(parts, parts.facts.find(DatasetVersion)[0].id)
    judged = {lot for lot, sides in before.items() if sides == {Side.TEST}}
    known = json.loads(arriving["annotations.json"])
    for image in known["images"]:
        image["lot"] = min(judged)
    inspect_lot(parts, line, MemorySource(arriving | {"annotations.json": json.dumps(known).encode()}), "coco")
    back(parts, true_boxes(parts, arriving, exported(parts, line)))
    made = adopt(parts, line, actor="Lee", reason="week 12")
    split(parts, line, made.id)
    assert Side.TRAIN not in split_sides(parts, made.id)[min(judged)]


def split_sides(parts: Parts, dataset_id: str) -> dict[str, set[Side]]:
    """Return the sides on which images of each lot stand."""
    lots = {sample.name: sample.metadata["lot"] for sample in parts.facts.find(Sample, dataset_id=dataset_id)}
    sides: dict[str, set[Side]] = {lot: set() for lot in lots.values()}
    for row in parts.facts.find(Split, dataset_id=dataset_id):
        for member in parts.facts.find(SplitMember, split_id=row.id):
            sides[lots[member.name]].add(member.side)
    return sides


def test_images_the_model_has_learnt_from_are_not_drawn(parts: Parts, taught: Files) -> None:
    inspect_lot(parts, line_with(), MemorySource(taught), "coco")
    (row,) = parts.facts.find(ProductionDraw)
    assert (row.images, row.known, sum(row.drawn.values())) == (0, 68, 0)
    with pytest.raises(NotFoundError, match="nothing was drawn at random"):
        production_figures(parts, line_with(), row.model_id)


class TellingFacts(MemoryFacts):
    """Tells how many samples were handed out."""

    samples = 0

    def find(self, kind: type[Any], /, *, limit: int | None = None, **equal: object) -> list[Any]:
        found = super().find(kind, limit=limit, **equal)
        self.samples += len(found) if kind is Sample else 0
        return found


def test_a_run_asks_of_the_data_set_only_for_its_own_images_and_knows_what_its_tiles_were_cut_from(
    parts: Parts, arriving: Files
) -> None:
    facts, line, source = TellingFacts(clock=parts.clock), line_with(), MemorySource(arriving)
    for kind in KINDS:
        facts.save_all(parts.facts.find(kind))
    parts = replace(parts, facts=facts, inspections=MemoryInspections(facts))
    chunk = list(READERS["coco"](source, ReadOptions()).samples)
    model = champion_model(parts, line.name)
    whole = [rows.sample("", place, digest_bytes(arriving[item.name]), "whole") for place, item in enumerate(chunk[:2])]
    facts.save(replace(facts.get(DatasetVersion, model.dataset_id), id="whole", number=0), whole)
    facts.save(Tiling("cut", model.dataset_id, "whole", TilePolicy(), 2, 2, 0, (), parts.clock()))
    inspector = open_inspector(parts, line, model)
    facts.samples = 0
    inspect_chunk(parts, line, source, inspector, chunk)
    (row,) = facts.find(ProductionDraw)
    assert (row.known, row.images) == (2, len(chunk) - 2)
    assert facts.samples == 2


def test_a_day_has_its_limit_and_a_run_is_drawn_once_whatever_the_line_file_says_later(
    parts: Parts, arriving: Files
) -> None:
    line = line_with("audit = 0.5\nday = 16\nnear = 0\nfar = 0")
    first = inspect_lot(parts, line, MemorySource(arriving), "coco").id
    lots = sorted({name.split("_")[0] for name in arriving if name.endswith(".png")})
    # under other names, for nothing is inspected twice under its own
    rest = {f"again/{name}": data for name, data in arriving.items() if not name.startswith(lots[0])}
    second = inspect_lot(parts, line, MemorySource(rest), "coco").id
    shares = {row.run_id: (row.share, row.drawn[Stratum.AUDIT]) for row in parts.facts.find(ProductionDraw)}
    left = 16 - 13
    size = next(row.images for row in parts.facts.find(ProductionDraw) if row.run_id == second)
    assert shares == {first: (0.5, 13), second: (left / size, left)}
    items = parts.facts.find(ProductionItem)
    assert queue_run(parts, line_with("audit = 1.0"), first).reused
    assert parts.facts.find(ProductionItem) == items


@pytest.fixture
def queue(parts: Parts, arriving: Files) -> Files:
    inspect_lot(parts, line_with(), MemorySource(arriving), "coco")
    return exported(parts, line_with())


def test_an_image_that_lies_under_two_names_is_exported_once_and_comes_back(parts: Parts, arriving: Files) -> None:
    pictures = {name: data for name, data in arriving.items() if name.endswith(".png")}
    first = min(pictures).removesuffix(".png")
    copy = {f"copied{end}": pictures[f"{first}{end}"] for end in (".png", "_golden.png")}
    inspect_lot(parts, line_with(), MemorySource(pictures | copy), "images")
    assert len(parts.facts.find(ProductionItem)) == 27
    files = exported(parts, line_with())
    assert len(document(files)["images"]) == 26
    done = back(parts, edited(files, lambda _told: None))
    assert (done.looked, done.new, done.missing) == (26, 26, 0)
    assert len(parts.facts.find(ReviewedImage)) == 26


def test_an_older_export_that_names_an_image_twice_needs_one_truth_for_both(parts: Parts, queue: Files) -> None:
    told = document(queue)
    shown = {row["image_id"] for row in told["annotations"]}
    image = next(image for image in told["images"] if image["id"] in shown)
    now = find_export(parts, "dies")
    older = replace(now, id="older", items={**now.items, "twin.png": now.items[image["file_name"]]})
    parts.facts.save(older)
    twin = {**image, "id": 999, "file_name": "twin.png"}
    boxes = [
        {**row, "image_id": 999, "id": 9000 + n}
        for n, row in enumerate(told["annotations"])
        if row["image_id"] == image["id"]
    ]

    def bring(files: Files) -> Brought:
        return bring_truth(parts, line_with(), files, older, title="folder", actor="Lee", reason="week 12")

    def add(told: dict[str, Any], *found: dict[str, Any]) -> None:
        told["images"].append(twin)
        told["annotations"].extend(found)

    with pytest.raises(SourceError, match=r"twin\.png (and|are).*show different boxes"):
        bring(edited(queue, add))
    assert parts.facts.find(ReviewedImage) == []
    done = bring(edited(queue, lambda told: add(told, *boxes)))
    assert (done.looked, done.new, done.missing) == (26, 26, 0)


def edited(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    told = document(files)
    change(told)
    return {"annotations.json": json.dumps(told).encode()}


def test_an_image_that_was_not_exported_is_refused_by_name_and_nothing_is_stored(parts: Parts, queue: Files) -> None:
    def add(told: dict[str, Any]) -> None:
        told["images"].append({"id": 999, "file_name": "stranger.png", "width": 96, "height": 96})

    with pytest.raises(SourceError, match=r"stranger\.png.*nothing was changed"):
        back(parts, edited(queue, add))
    assert parts.facts.find(ReviewedImage) == []


def test_an_image_that_does_not_come_back_waits_and_its_run_does_not_count(parts: Parts, queue: Files) -> None:
    done = back(parts, edited(queue, lambda told: told["images"].pop() and told["annotations"].clear()))
    assert (done.looked, done.new, done.missing) == (25, 25, 1)
    assert sum(truth is None for _, truth in audit_queue(parts, "dies")) == 1
    with pytest.raises(NotFoundError, match="1 audited images wait"):
        production_figures(parts, line_with(), *done.models)


def test_boxes_left_as_proposed_are_the_truth_and_a_later_review_goes_before_it(parts: Parts, queue: Files) -> None:
    done = back(parts, edited(queue, lambda _told: None))
    assert done.new == 26
    assert done.changes.images == ()
    figures = parts.facts.get(ProductionFigures, production_figures(parts, line_with(), *done.models).id)
    assert all(item.recall.hits == item.recall.trials for item in figures.classes)
    cleared = back(parts, edited(queue, lambda told: told["annotations"].clear()))
    shown = {truth.actor: len(truth.boxes) for _, truth in audit_queue(parts, "dies") if truth}
    assert cleared.new == len({row["image_id"] for row in document(queue)["annotations"]})
    assert shown == {"Lee": 0}
    later = parts.facts.get(ProductionFigures, production_figures(parts, line_with(), *done.models).id)
    assert sum(item.precision.hits for item in later.classes) == 0
    restored = back(parts, edited(exported(parts, line_with()), lambda told: told["annotations"].clear()))
    assert restored.new == 0


def test_two_reviewers_who_see_otherwise_are_told_so(parts: Parts, queue: Files) -> None:
    back(parts, edited(queue, lambda told: told["annotations"].clear()))
    moved = edited(queue, lambda told: [row["bbox"].__setitem__(0, row["bbox"][0] + 3) for row in told["annotations"]])
    with pytest.raises(SourceError, match="corrected otherwise since this was exported"):
        back(parts, moved, actor="Ann")


def test_a_blind_export_shows_no_box_and_comes_back_the_same(parts: Parts, queue: Files, arriving: Files) -> None:
    blind = exported(parts, line_with(), boxes=False)
    assert document(blind)["annotations"] == []
    assert blind["images.csv"].startswith(b"\xef\xbb\xbfimage,"), "without the mark Excel garbles names"
    assert json.loads(blind[EXPORTED]) == json.loads(queue[EXPORTED])
    assert true_boxes(parts, arriving, blind) == true_boxes(parts, arriving, queue)


def test_images_without_what_the_split_groups_by_are_left_out_and_named(parts: Parts, arriving: Files) -> None:
    pictures = {name: data for name, data in arriving.items() if name.endswith(".png")}
    inspect_lot(parts, line_with(), MemorySource(pictures), "images")
    back(parts, edited(exported(parts, line_with()), lambda _told: None))
    made = adopt(parts, line_with(), actor="Lee", reason="x")
    assert (made.added, made.id, len(made.left_out)) == (0, made.parent, 26)
    assert made.left_out[0][1] == "its inspection told no lot, which [split] groups by"
