"""Windows of what a champion has inspected, held against their reference."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, parts_in, run_thread
from wafergate.domain.alerts import Alert
from wafergate.domain.drift import Advice, DriftCause, DriftReport, DriftVerdict, ReferenceKind
from wafergate.domain.gate import LedgerKind
from wafergate.domain.inspection import FoundBox, InspectedImage, InspectionRun
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import ImageRecord
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError, NotFoundError
from wafergate.jobs.novelty import familiar, refer, taught_images
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import promote
from wafergate.jobs.watch import due_windows, watch_stored
from wafergate.line import LineFile
from wafergate.ports import LedgerDraft
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
PIT: FoundBox = ("excess", 0.9, 1.0, 1.0, 9.0, 9.0)


def line_with(**drift: object) -> LineFile:
    line = line_of()
    return line.model_copy(update={"drift": replace(line.drift, **drift)})


class Stand(NamedTuple):
    """A line with a champion, and images that look like those it learnt from."""

    parts: Parts
    model: ModelVersion
    records: list[ImageRecord]
    novelty: list[float]

    def inspect(
        self,
        day: int,
        *,
        count: int = 60,
        change: Callable[[int, ImageRecord], ImageRecord] = lambda _place, record: record,
        farther: float = 1.0,
        boxes: tuple[FoundBox, ...] = (),
        station: Callable[[int], str] = lambda _place: "S1",
        lot: str = "",
        hour: int = 0,
    ) -> None:
        """Inspect images of one day; each is one of the training images, seen a little otherwise."""
        rng = np.random.default_rng(day)
        images, records = [], []
        for place, chosen in enumerate(rng.integers(0, len(self.records), count)):
            name = hashlib.sha256(f"{day} {place} {lot} {farther} {hour}".encode()).hexdigest()
            shaken = replace(self.records[chosen], id=name, brightness=self.records[chosen].brightness + rng.normal())
            records.append(change(place, shaken))
            images.append(
                InspectedImage(
                    run_id=f"run-{day}-{lot}-{hour}",
                    position=place,
                    line="dies",
                    model_id=self.model.id,
                    name=f"{name}.png",
                    image=name,
                    captured_at=START + timedelta(days=day, hours=hour, minutes=place),
                    lot=lot or f"lot-{day}",
                    station=station(place),
                    novelty=self.novelty[chosen] * farther,
                    detections=boxes if place % 2 else (),
                )
            )
        self.parts.facts.save_all(records)
        run = InspectionRun(f"run-{day}-{lot}-{hour}", "dies", self.model.id, "here", count, 0, {}, 0, START)
        assert self.parts.inspections.save(run, images)

    def report(self, line: LineFile, window: str = "", name: str = "") -> DriftReport:
        return self.parts.facts.get(DriftReport, watch_stored(self.parts, line, window, name=name).id)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Stand]:
    folder = tmp_path_factory.mktemp("watch")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder / "sample", seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    found = (path for path in sorted((folder / "sample").rglob("*")) if path.is_file())
    files = {str(path.relative_to(folder / "sample")): path.read_bytes() for path in found}

    def make() -> Stand:
        parts = parts_in(folder / "parts")
        thread = run_thread(parts, line_of(), MemorySource(files))
        promote(parts, thread.decision.id, actor="kim", reason="test")
        model = parts.facts.get(ModelVersion, thread.model.id)
        known = familiar(parts, parts.facts.get(ModelReference, refer(parts, model).id))
        assert known is not None
        taught = {sample.image for sample in taught_images(parts, model)}
        records = sorted(parts.facts.find(ImageRecord, id=sorted(taught)), key=lambda record: record.id)
        return Stand(parts, model, records, known.trained.tolist())

    return make


def test_a_day_like_training_is_stable_and_asked_twice_is_one_report(made: Callable[[], Stand]) -> None:
    stand = made()
    stand.inspect(0)
    report = stand.report(line_of())
    assert (report.verdict, report.advice, report.cause) == (DriftVerdict.STABLE, Advice.WAIT, None)
    assert (report.window, report.source, report.reference) == ("day 2026-03-02", "inspections", ReferenceKind.TRAINING)
    assert (report.since, report.until) == (START, START + timedelta(minutes=59))
    assert watch_stored(stand.parts, line_of()) == (report.id, True)
    assert {item.feature for item in report.features if not item.judged} >= {"boxes", "class excess"}
    assert stand.report(line_of(), "lot", "lot-0").window == "lot lot-0"
    assert stand.report(line_of(), "40").current_images == 40


def test_drift_is_told_apart_and_ends_in_one_advice_that_the_alert_repeats(made: Callable[[], Stand]) -> None:
    stand = made()
    stand.inspect(1, change=lambda _place, record: replace(record, brightness=record.brightness - 30))
    stand.inspect(2, farther=3.0)
    dark, new = (stand.report(line_of(), "day", day) for day in ("2026-03-03", "2026-03-04"))
    assert (dark.cause, dark.advice) == (DriftCause.LIGHT_OR_FOCUS, Advice.RECALIBRATE)
    assert (new.cause, new.advice) == (DriftCause.NEW_PATTERN, Advice.RELABEL)
    told = {alert.subject: alert.body for alert in stand.parts.facts.find(Alert)}
    assert f"Advice: recalibrate: {dark.reason}" in told[dark.id]
    assert f"Advice: relabel: {new.reason}" in told[new.id]


def test_drift_of_one_station_is_found_there(made: Callable[[], Stand]) -> None:
    stand = made()
    stand.inspect(
        3,
        count=200,
        station=lambda place: "S1" if place % 5 else "S2",
        change=lambda place, record: record if place % 5 else replace(record, sharpness=record.sharpness * 0.2),
    )
    report = stand.report(line_of())
    assert report.verdict is DriftVerdict.DRIFTED
    told = {(part.key, part.value): part for part in report.slices}
    assert set(told) == {("station", "S1"), ("station", "S2")}, "one lot and no product: nothing to tell apart"
    assert (told["station", "S1"].verdict, told["station", "S1"].images) == (DriftVerdict.STABLE, 160)
    assert (told["station", "S2"].verdict, told["station", "S2"].drifted) == (DriftVerdict.DRIFTED, ("sharpness",))
    assert told["station", "S2"].cause is DriftCause.LIGHT_OR_FOCUS


def test_stable_windows_become_the_reference_and_then_the_class_mix_counts(made: Callable[[], Stand]) -> None:
    stand, line = made(), line_with(reference_images=100)
    for day in (4, 5):
        stand.inspect(day)
        assert stand.report(line).reference is ReferenceKind.TRAINING, "so far too few were accepted"
    for day, advice in ((6, Advice.WAIT), (7, Advice.WAIT), (8, Advice.RELABEL)):
        stand.inspect(day, boxes=(PIT,))
        report = stand.report(line)
        assert (report.reference, report.reference_images) == (ReferenceKind.ACCEPTED, 120)
        assert (report.verdict, report.cause, report.advice) == (DriftVerdict.DRIFTED, DriftCause.PRODUCT_MIX, advice)
        assert all(item.judged for item in report.features)
    again = watch_stored(stand.parts, line, "day", name="2026-03-06")
    assert stand.parts.facts.get(DriftReport, again.id).reference is ReferenceKind.TRAINING
    assert again.reused, "an early window meets the reference it met then"


@pytest.mark.parametrize(("window", "first", "second"), [("day", 3, 2), ("lot", 3, 2), ("70", 2, 2)])
def test_a_window_that_is_watched_again_while_it_grows_counts_once(
    made: Callable[[], Stand], window: str, first: int, second: int
) -> None:
    stand, line = made(), line_with(reference_images=100, window=window)
    for day in (0, 1, 2):
        stand.inspect(day)
        stand.report(line, "day")

    def told(day: int, times: int) -> list[str]:
        found = []
        for hour in range(times):
            stand.inspect(day, hour=hour, lot=f"lot-{day}", boxes=(PIT,))
            report = stand.report(line)
            assert report.cause is DriftCause.PRODUCT_MIX
            found.append(report.reason)
        return found

    assert all("1 of 3 windows" in reason for reason in told(6, first))
    assert all("2 of 3 windows" in reason for reason in told(7, second))
    (reason,) = told(8, 1)
    assert "has moved for good" in reason


@pytest.mark.parametrize(("kind", "name"), [("day", "2026-03-{:02}"), ("lot", "lot-{}")])
def test_a_window_that_has_ended_is_due_although_the_next_has_begun(
    made: Callable[[], Stand], kind: str, name: str
) -> None:
    stand, line = made(), line_with(window=kind)
    named = [name.format(day + 2 if kind == "day" else day) for day in range(6)]

    def due() -> list[str]:
        found = due_windows(stand.parts, line)
        for each in found:
            stand.report(line, name=each)
        return found

    assert due_windows(stand.parts, line_with(window="70")) == [""]
    stand.inspect(0, count=29)
    assert due() == named[:1]
    stand.inspect(0, hour=12, lot="lot-0")
    stand.inspect(1, count=3)
    assert due() == named[:2]
    begun, ended, _ = stand.parts.facts.find(DriftReport, line="dies")
    assert (ended.window, ended.current_images, ended.verdict) == (f"{kind} {named[0]}", 89, DriftVerdict.STABLE)
    assert (begun.window, begun.verdict) == (f"{kind} {named[1]}", DriftVerdict.NOT_ENOUGH)
    for day in (2, 3, 4, 5):
        stand.inspect(day)
    assert due() == named[1:], "all that ended since the last report"
    assert due() == named[4:]
    assert len(stand.parts.facts.find(DriftReport, line="dies")) == 7, "an unchanged window is the same report"


def test_lots_that_ended_beside_one_that_goes_on_are_due_and_one_whose_images_were_dropped_is_not(
    made: Callable[[], Stand],
) -> None:
    stand, line = made(), line_with(window="lot")
    stand.inspect(0, count=30, lot="old")
    stand.inspect(1, count=30, lot="A")
    for name in due_windows(stand.parts, line):
        stand.report(line, name=name)
    for day, lot in enumerate(("B", "C", "A"), start=30):
        stand.inspect(day, count=30, lot=lot)
    assert due_windows(stand.parts, line) == ["old", "B", "C", "A"]
    draft = LedgerDraft("dies", LedgerKind.DROPPED, "dies", "kim", "policy", {})
    stand.parts.inspections.retain("dies", before=date(2026, 4, 1), ledger=lambda _: draft)
    assert due_windows(stand.parts, line) == ["B", "C", "A"]


def test_few_images_are_not_enough_and_no_image_or_window_is_an_error(made: Callable[[], Stand]) -> None:
    stand = made()
    with pytest.raises(NotFoundError, match="has inspected nothing in the window"):
        watch_stored(stand.parts, line_of())
    stand.inspect(9, count=19)
    report = stand.report(line_of())
    assert (report.verdict, report.advice, report.report) == (DriftVerdict.NOT_ENOUGH, Advice.WAIT, None)
    for window, name in (("week", ""), ("0", ""), ("20", "lot-9"), ("day", "tomorrow")):
        with pytest.raises(ConfigError):
            watch_stored(stand.parts, line_of(), window, name=name)
