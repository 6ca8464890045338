"""One suite for every store of inspections: the one in memory behaves as the one on PostgreSQL."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import rows
from wafergate.adapters.memory import MemoryFacts, MemoryInspections
from wafergate.adapters.postgres import PostgresFacts, PostgresInspections
from wafergate.domain.gate import LedgerKind
from wafergate.domain.inspection import (
    ANY_CLASS,
    InspectedImage,
    InspectionMonth,
    InspectionRun,
    LotRun,
    capture_time,
    keep_from,
)
from wafergate.errors import ServiceError, StorageError
from wafergate.ports import FactStore, InspectionStore, LedgerDraft
from wafergate.settings import Settings

NUMBERS = count()
NOW = datetime(2026, 3, 2, 9, 0, 0, 654321, tzinfo=UTC)
EARLY, LATE = datetime(2001, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
CLASSES = ("scratch", "particle", "한글 A'1")


@dataclass(frozen=True)
class Stores:
    """A line with two models, its facts and its inspections."""

    facts: FactStore
    inspections: InspectionStore
    line: str

    def model(self, name: str) -> str:
        return f"model-{self.line}-{name}"


def fresh_line(facts: FactStore) -> str:
    """Return a line of one's own, as the store is shared, with models `a` and `b`."""
    line = f"inspected-{next(NUMBERS)}"
    for row in (rows.dataset(line), rows.split(line), rows.training_set(line)):
        facts.save(row)
    for name in ("a", "b"):
        facts.save(rows.model(line, name))
    return line


@pytest.fixture(
    params=[pytest.param("memory", marks=pytest.mark.unit), pytest.param("postgres", marks=pytest.mark.services)]
)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        facts = MemoryFacts(clock=lambda: NOW)
        yield Stores(facts, MemoryInspections(facts), fresh_line(facts))
        return
    real: FactStore = request.getfixturevalue("stored")
    yield Stores(real, request.getfixturevalue("inspections"), fresh_line(real))


def run_of(stores: Stores, key: str, *, model: str = "a", minutes: int = 0) -> InspectionRun:
    created = NOW + timedelta(minutes=minutes)
    return InspectionRun(f"run-{stores.line}-{key}", stores.line, stores.model(model), "x", 0, 0, {}, 0, created)


def image_of(run: InspectionRun, position: int, **more: object) -> InspectedImage:
    plain = InspectedImage(
        run_id=run.id, position=position, line=run.line, model_id=run.model_id, name=f"{run.id}/{position}.png",
        image="ab" * 32, captured_at=run.created_at,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def box(name: str = "scratch", score: float = 0.9) -> tuple[str, float, float, float, float, float]:
    return (name, score, 1.0, 2.5, 10.125, 1e-7)


def recounted(images: Sequence[InspectedImage]) -> dict[tuple[object, ...], list[object]]:
    """Sum by day, model, station and product, one image and one box at a time."""
    sums: dict[tuple[object, ...], list[object]] = {}
    for image in images:
        day = image.captured_at.astimezone(UTC).date()
        entry = sums.setdefault((day, image.model_id, image.station, image.product), [0, 0, Counter()])
        entry[0] += 1  # type: ignore[operator]
        entry[1] += 1 if image.detections else 0  # type: ignore[operator]
        for found in image.detections:
            entry[2][found[0]] += 1  # type: ignore[index]
    return sums


def stored_sums(stores: Stores) -> dict[tuple[object, ...], list[object]]:
    days = stores.inspections.days(stores.line)
    return {(d.day, d.model_id, d.station, d.product): [d.images, d.defective, Counter(d.instances)] for d in days}


def scattered(run: InspectionRun, images: int, seed: int) -> list[InspectedImage]:
    """Images of three lots at two stations over some 80 days; some without, some with several detections."""
    random = Random(seed)  # noqa: S311 - no secret
    return [
        image_of(
            run,
            position,
            lot=random.choice(["", "L1", "L2", "L3"]),
            station=random.choice(["", "AOI-2"]),
            captured_at=run.created_at - timedelta(hours=random.randrange(2000)),
            detections=tuple(box(random.choice(CLASSES), random.random()) for _ in range(random.choice([0, 0, 1, 3]))),
            weak=tuple(box("void", 0.1) for _ in range(random.choice([0, 1]))),
        )
        for position in range(images)
    ]


def test_every_image_comes_back_as_it_went_in_newest_first(stores: Stores) -> None:
    run = run_of(stores, "1")
    first = image_of(
        run, 0, reference="cd" * 32, lot="L'1", wafer="한글", die="3,4", station="AOI-2", product="CIS", novelty=0.1,
        captured_at=NOW - timedelta(days=40), detections=(box("scratch", 0.1 + 0.2), box("particle"), box("scratch")),
        weak=(box("particle", 0.2),),
    )  # fmt: skip
    others = [image_of(run, 2), image_of(run, 1, weak=(box(),))]
    assert stores.inspections.save(run, iter([first, *others]))
    assert stores.inspections.images(line=stores.line) == [others[1], others[0], first]
    assert stores.inspections.images(line=stores.line, limit=1) == [others[1]]
    assert stores.facts.get(InspectionRun, run.id) == run
    assert stores.inspections.runs(stores.line) == [run]


def test_images_are_found_by_run_lot_and_time_of_their_line_alone(stores: Stores) -> None:
    old, new = run_of(stores, "old"), run_of(stores, "new", minutes=60)
    elsewhere = replace(stores, line=fresh_line(stores.facts))
    other = run_of(elsewhere, "other")
    for run in (old, new, other):
        stores.inspections.save(run, [image_of(run, 0, lot="L1"), image_of(run, 1, lot="L2")])

    def found(**asked: object) -> list[tuple[str, int]]:
        images = stores.inspections.images(line=stores.line, **asked)  # type: ignore[arg-type]
        return [(image.run_id, image.position) for image in images]

    assert found(run_id=old.id) == [(old.id, 0), (old.id, 1)]
    assert found(lot="L1") == [(new.id, 0), (old.id, 0)]
    assert found(since=new.created_at) == [(new.id, 0), (new.id, 1)]
    assert found(until=new.created_at, limit=1) == [(old.id, 0)]
    assert found(run_id=other.id) == []
    assert [run.id for run in stores.inspections.runs(stores.line, 1)] == [new.id]


def test_the_same_run_twice_adds_nothing(stores: Stores) -> None:
    run = run_of(stores, "1")
    images = scattered(run, 20, 1)
    assert stores.inspections.save(run, images)
    before = (stores.inspections.images(line=stores.line), stored_sums(stores), stores.inspections.lots(stores.line))
    assert not stores.inspections.save(run, [*images, image_of(run, 99)])
    after = (stores.inspections.images(line=stores.line), stored_sums(stores), stores.inspections.lots(stores.line))
    assert before == after


def test_sums_are_those_of_a_recount_after_every_run_and_rerolling_finds_nothing(stores: Stores) -> None:
    saved: list[InspectedImage] = []
    for seed, model in enumerate(("a", "b", "a")):
        run = run_of(stores, str(seed), model=model)
        images = scattered(run, 60, seed)
        stores.inspections.save(run, images)
        saved += images
        assert stored_sums(stores) == recounted(saved)
    by_lot = {(lot.lot, lot.model_id): lot for lot in stores.inspections.lots(stores.line)}
    assert by_lot.keys() == {(image.lot, image.model_id) for image in saved if image.lot}
    for (name, model_id), lot in by_lot.items():
        members = [image for image in saved if (image.lot, image.model_id) == (name, model_id)]
        assert (lot.images, lot.defective) == (len(members), sum(bool(image.detections) for image in members))
        assert Counter(lot.instances) == Counter(found[0] for image in members for found in image.detections)
        assert (lot.first_at, lot.last_at) == (
            min(image.captured_at for image in members), max(image.captured_at for image in members)
        )  # fmt: skip
    changed = stores.inspections.reroll(stores.line)
    assert set(changed) == {image.captured_at.date().replace(day=1) for image in saved}
    assert not any(changed.values())
    assert stored_sums(stores) == recounted(saved)


def test_days_and_lots_come_newest_first_and_within_their_limits(stores: Stores) -> None:
    run = run_of(stores, "1")
    ages = {"L1": 40, "L2": 3, "L3": 20}
    images = [
        image_of(run, place, lot=lot, captured_at=NOW - timedelta(days=age))
        for place, (lot, age) in enumerate(ages.items())
    ]
    images.append(image_of(run, 9, lot="L1", captured_at=NOW))  # the oldest lot is also the newest, over two months
    stores.inspections.save(run, images)
    lots = stores.inspections.lots(stores.line, 2)
    assert [(lot.lot, lot.images) for lot in lots] == [("L1", 2), ("L2", 1)]
    assert lots[0].first_at == NOW - timedelta(days=40)
    since, until = NOW - timedelta(days=30), NOW - timedelta(days=10)
    assert [lot.lot for lot in stores.inspections.lots(stores.line, since=since, until=until)] == ["L1", "L3"]
    assert [lot.lot for lot in stores.inspections.lots(stores.line, 1, until=until)] == ["L1"]
    assert [lot.lot for lot in stores.inspections.lots(stores.line, since=NOW - timedelta(days=3))] == ["L1", "L2"]
    days = stores.inspections.days(stores.line, date(2026, 2, 10), date(2026, 3, 2))
    assert [day.day for day in days] == [date(2026, 2, 27), date(2026, 2, 10)]


def test_images_are_found_by_a_class_that_counts(stores: Stores) -> None:
    run = run_of(stores, "1")
    images = [
        image_of(run, 0, detections=(box("particle"), box("scratch"))),
        image_of(run, 1, detections=(box("scratch"),), weak=(box("particle", 0.1),)),
        image_of(run, 2, lot="L1", detections=(box("particle"),)),
    ]
    stores.inspections.save(run, images)
    assert stores.inspections.images(line=stores.line, defect_class="particle") == [images[0], images[2]]
    assert stores.inspections.images(line=stores.line, defect_class="particle", lot="L1") == [images[2]]
    assert stores.inspections.images(line=stores.line, defect_class="void") == []


def test_images_are_found_by_station_and_by_any_class_that_counts(stores: Stores) -> None:
    run = run_of(stores, "1")
    images = [
        image_of(run, 0, station="A", detections=(box("scratch"),)),
        image_of(run, 1, station="A", weak=(box("scratch", 0.1),)),
        image_of(run, 2, station="", detections=(box("void"),)),
    ]
    stores.inspections.save(run, images)
    assert stores.inspections.images(line=stores.line, defect_class=ANY_CLASS) == [images[0], images[2]]
    assert stores.inspections.images(line=stores.line, station="A") == images[:2]
    assert stores.inspections.images(line=stores.line, station="", limit=1) == images[2:]
    assert stores.inspections.images(line=stores.line, station="A", defect_class=ANY_CLASS, limit=5) == images[:1]


def test_of_an_image_that_several_runs_saw_the_newest_ones_word_counts_before_the_limit(stores: Stores) -> None:
    old, new = run_of(stores, "old"), run_of(stores, "new", model="b", minutes=60)
    same = [{"name": f"{n}.png", "lot": "L1", "captured_at": NOW - timedelta(minutes=n)} for n in range(6)]
    of_other_bytes = image_of(old, 9, name="0.png", image="cd" * 32, lot="L2", captured_at=NOW + timedelta(minutes=1))
    before = [image_of(old, n, detections=(box("scratch"),) if n > 2 else (), **same[n]) for n in range(6)]
    after = [image_of(new, n, detections=(box("void"),) if n == 5 else (), **same[n]) for n in range(6)]
    stores.inspections.save(new, after)
    stores.inspections.save(old, [*before, of_other_bytes])  # a run that began earlier may end later
    seen = partial(stores.inspections.seen_last, line=stores.line)
    assert seen() == [of_other_bytes, *after]
    assert seen(limit=3) == [of_other_bytes, *after[:2]]
    assert seen(lot="L1") == after
    assert seen(lot="L1", defect_class=ANY_CLASS, limit=1) == [after[5]]
    assert seen(defect_class="void", limit=9) == [after[5]]
    assert seen(defect_class="scratch") == []
    assert seen(since=NOW - timedelta(minutes=4), until=NOW) == after[1:5]


@pytest.mark.parametrize("seed", range(3))
def test_each_image_is_seen_last_by_the_newest_run_of_those_asked_for(stores: Stores, seed: int) -> None:
    for place, model in enumerate("abab"):
        run = run_of(stores, str(place), model=model, minutes=(place * 7 + seed) % 3)  # some at the same time
        names = {f"{image.position % 9}.png": image for image in scattered(run, 30, seed * 10 + place)}
        beside = f"{place:064x}"  # another reference each time, so that a model sees an image again
        again = [replace(image, name=name, reference=beside) for name, image in names.items()]
        assert stores.inspections.save(run, again) == len(again)
    stored = stores.inspections.images(line=stores.line)
    ages = {run.id: place for place, run in enumerate(stores.inspections.runs(stores.line))}
    for asked in (
        {},
        {"lot": "L1"},
        {"station": ""},
        {"lot": "L2", "station": "AOI-2"},
        {"since": NOW - timedelta(days=40)},
    ):
        last: dict[str, InspectedImage] = {}
        for image in stores.inspections.images(line=stores.line, **asked):
            last[image.name] = min(last.get(image.name, image), image, key=lambda item: ages[item.run_id])
        expected = [image for image in stored if image in last.values()]
        assert stores.inspections.seen_last(line=stores.line, **asked) == expected
        showing = [image for image in expected if image.detections]
        assert stores.inspections.seen_last(line=stores.line, defect_class=ANY_CLASS, limit=2, **asked) == showing[:2]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [1, 7, 500])
def test_doubtful_images_are_those_nearest_a_threshold_and_novel_ones_the_farthest_from_training(
    stores: Stores, seed: int, limit: int
) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    run = run_of(stores, "1")
    images = [
        replace(image, novelty=random.choice([None, random.random()]))
        for image in (
            *scattered(run, 60, seed),
            image_of(run, 99, detections=tuple(box("scratch", 0.3 + n / 1e6) for n in range(40))),  # many of one image
        )
    ]
    stores.inspections.save(run, images)
    since, thresholds = NOW - timedelta(days=40), {"scratch": 0.3, "particle": 0.5, "void": 0.2, "never": 0.5}
    recent = [image for image in images if image.captured_at >= since]
    gaps = {
        image.position: min(distances)
        for image in recent
        if (distances := [abs(f[1] - thresholds[f[0]]) for f in image.detections + image.weak if f[0] in thresholds])
    }
    found = stores.inspections.doubtful(line=stores.line, thresholds=thresholds, since=since, limit=limit)
    assert [gaps[image.position] for image in found] == sorted(gaps.values())[:limit]
    assert all(images[min(image.position, 60)] == image for image in found)
    novel = stores.inspections.novel(line=stores.line, since=since, limit=limit)
    measured = sorted((image.novelty for image in recent if image.novelty is not None), reverse=True)
    assert [image.novelty for image in novel] == measured[:limit]


def test_the_runs_that_saw_a_lot_are_told_with_their_share_of_it(stores: Stores) -> None:
    first, second = run_of(stores, "1"), run_of(stores, "2", model="b", minutes=5)
    images = [
        image_of(first, 0, lot="L1", detections=(box(), box())),
        image_of(first, 1, lot="L1", captured_at=NOW - timedelta(days=40)),
        image_of(first, 2, lot="L2"),
    ]
    stores.inspections.save(first, images)
    stores.inspections.save(second, [image_of(second, 0, lot="L1")])
    assert stores.inspections.lot_runs(stores.line, "L1") == [LotRun(second, 1, 0), LotRun(first, 2, 1)]
    assert stores.inspections.lot_runs(stores.line, "L3") == []


def test_dropping_old_months_keeps_sums_runs_and_other_lines_and_tells_the_ledger(stores: Stores) -> None:
    run = run_of(stores, "1")
    ages = (0, 30, 31, 90)  # 2 March, 31 and 30 January, 2 December
    images = [
        image_of(run, place, lot="L1", detections=(box(),), weak=(box(),), captured_at=NOW - timedelta(days=age))
        for place, age in enumerate(ages)
    ]
    elsewhere = replace(stores, line=fresh_line(stores.facts))
    other = run_of(elsewhere, "other")
    stores.inspections.save(run, images)
    stores.inspections.save(other, [image_of(other, 0, captured_at=NOW - timedelta(days=90))])
    sums, lots = stored_sums(stores), stores.inspections.lots(stores.line)
    seen = stores.inspections.lot_runs(stores.line, "L1")

    def told(months: Sequence[InspectionMonth]) -> LedgerDraft:
        details = {"images": sum(month.images for month in months)}
        return LedgerDraft(stores.line, LedgerKind.DROPPED, stores.line, "kim", "policy", details)

    expected = [
        InspectionMonth(stores.line, date(2025, 12, 1), 1, 2),
        InspectionMonth(stores.line, date(2026, 1, 1), 2, 4),
    ]
    assert stores.inspections.months(stores.line, before=date(2026, 2, 1)) == expected
    assert stores.inspections.retain(stores.line, before=date(2026, 2, 1), ledger=told) == expected
    assert stores.inspections.retain(stores.line, before=date(2026, 2, 1), ledger=told) == []
    assert [entry.kind for entry in stores.facts.ledger(stores.line)] == [LedgerKind.DROPPED]
    kept = [image for image in images if image.captured_at >= datetime(2026, 2, 1, tzinfo=UTC)]
    assert stores.inspections.images(line=stores.line) == kept
    assert len(stores.inspections.images(line=elsewhere.line)) == 1
    assert stores.inspections.runs(stores.line) == [run]
    stores.inspections.reroll(stores.line)
    assert (stored_sums(stores), stores.inspections.lots(stores.line)) == (sums, lots)
    assert stores.inspections.lot_runs(stores.line, "L1") == seen
    late = run_of(stores, "late")
    stores.inspections.save(late, [image_of(late, 0, captured_at=NOW - timedelta(days=90))])
    stores.inspections.reroll(stores.line)
    assert sum(day.images for day in stores.inspections.days(stores.line)) == len(ages) + 1


@pytest.mark.unit
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 10**6)), max_size=12))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sums_are_those_of_a_recount_whatever_runs_there_were(runs: list[tuple[int, str, int]]) -> None:
    facts = MemoryFacts(clock=lambda: NOW)
    stores = Stores(facts, MemoryInspections(facts), "any")
    saved = []
    for place, (images, model, seed) in enumerate(runs):
        run = run_of(stores, str(place), model=model)
        saved += (some := scattered(run, images, seed))
        stores.inspections.save(run, some)
    assert stored_sums(stores) == recounted(saved)


@pytest.mark.unit
@given(st.datetimes(EARLY, LATE, timezones=st.just(UTC)), st.integers(1, 11))
def test_what_is_kept_reaches_back_at_least_so_many_months_and_no_month_more(now: datetime, months: int) -> None:
    first = keep_from(now, months)
    back = now.replace(day=1)
    for _ in range(months):
        back = (back - timedelta(days=1)).replace(day=1)
    assert first == back.date()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("0001-01-01", NOW),
        ("2026-03-01T18:00:00+09:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        (" 2026-03-01 09:00 ", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("20260301", datetime(2026, 3, 1, tzinfo=UTC)),
        ("", NOW),
        ("this morning", NOW),
        ("1970-01-01T00:00:00Z", NOW),
        ("2026-03-03T00:00:00Z", NOW),
    ],
)
def test_an_image_was_captured_when_its_source_tells_a_possible_time(told: str, found: datetime) -> None:
    assert capture_time(told, NOW, UTC) == found


@pytest.mark.unit
def test_a_time_without_a_zone_is_one_of_the_line() -> None:
    seoul = ZoneInfo("Asia/Seoul")
    assert capture_time("2026-03-01 09:00", NOW, seoul) == datetime(2026, 3, 1, tzinfo=UTC)
    assert capture_time("2026-03-01T09:00Z", NOW, seoul) == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert capture_time("0001-01-01", NOW, seoul) == NOW


@pytest.mark.unit
@pytest.mark.parametrize("moment", [datetime(2026, 3, 1), datetime(1970, 1, 1, tzinfo=UTC)])  # noqa: DTZ001
def test_a_time_that_no_camera_told_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="required a time with zone from 2000 on"):
        InspectedImage(run_id="r", position=0, line="l", model_id="m", name="n", image="i", captured_at=moment)


@pytest.mark.services
class TestDatabaseItself:
    """What holds on PostgreSQL whoever asks."""

    @pytest.fixture
    def stores(self, stored: PostgresFacts, inspections: PostgresInspections) -> Stores:
        return Stores(stored, inspections, fresh_line(stored))

    def test_a_run_that_breaks_off_in_the_middle_leaves_nothing(self, stores: Stores) -> None:
        run = run_of(stores, "1")
        images = scattered(run, 50, 1)
        with pytest.raises(StorageError, match="already"):
            stores.inspections.save(run, [*images, images[0]])  # only the last row cannot be
        assert stores.inspections.images(line=stores.line) == []
        assert stores.inspections.runs(stores.line) == []
        assert stores.inspections.days(stores.line) == []
        assert stores.inspections.save(run, images)

    def test_runs_that_end_together_lose_no_count(self, stores: Stores) -> None:
        runs = [run_of(stores, str(place)) for place in range(4)]
        every = [scattered(run, 40, place) for place, run in enumerate(runs)]
        threads = [
            threading.Thread(target=stores.inspections.save, args=(run, images))
            for run, images in [*zip(runs, every, strict=True), (runs[0], every[0])]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stored_sums(stores) == recounted([image for images in every for image in images])

    def test_inspections_of_the_same_images_that_end_together_count_them_once(self, stores: Stores) -> None:
        runs = [run_of(stores, str(place)) for place in range(6)]
        every = [
            [image_of(run, place, name=f"{place}.png", detections=(box(),)) for place in range(number, number + 40)]
            for number, run in enumerate(runs)
        ]
        threads = [
            threading.Thread(target=stores.inspections.save, args=(run, images))
            for run, images in zip(runs, every, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = stores.inspections.images(line=stores.line)
        assert sorted(image.name for image in stored) == sorted(f"{place}.png" for place in range(45))
        assert stored_sums(stores) == recounted(stored)

    def test_rerolling_mends_sums_that_were_changed_or_taken_away(
        self, stores: Stores, service_settings: Settings
    ) -> None:
        run = run_of(stores, "1")
        images = scattered(run, 60, 3)
        stores.inspections.save(run, images)
        lots = stores.inspections.lots(stores.line)
        with psycopg.connect(service_settings.database_admin_url.get_secret_value()) as owner:
            owner.execute("UPDATE inspection_day SET images = images + 7 WHERE line = %s AND day < %s", [run.line, NOW])
            owner.execute("DELETE FROM inspection_lot WHERE line = %s AND lot = 'L2'", [run.line])
            owner.execute(
                "INSERT INTO inspection_lot SELECT line, 'never', run_id, month, model_id, first_at, last_at, 1, 0, "
                "'{}' FROM inspection_lot WHERE line = %s LIMIT 1",
                [run.line],
            )
        changed = stores.inspections.reroll(stores.line)
        assert all(changed.values())
        assert stored_sums(stores) == recounted(images)
        assert stores.inspections.lots(stores.line) == lots
        assert not any(stores.inspections.reroll(stores.line).values())

    def test_the_application_adds_and_reads_and_drops_nothing(self, stores: Stores, service_settings: Settings) -> None:
        run = run_of(stores, "1")
        stores.inspections.save(run, [image_of(run, 0)])
        for statement in (
            "DELETE FROM inspected_image",
            "UPDATE detection SET score = 1",
            "DELETE FROM inspection_day",
            "CREATE TABLE mine (x integer)",
        ):
            with (
                psycopg.connect(service_settings.database_url.get_secret_value()) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(statement)  # type: ignore[arg-type]

    def test_the_dashboard_can_only_read(self, stores: Stores, service_settings: Settings) -> None:
        run = run_of(stores, "1")
        stores.inspections.save(run, [image_of(run, 0, detections=(box(),))])
        readonly = PostgresInspections(service_settings.database_readonly_url.get_secret_value(), clock=lambda: NOW)
        assert [image.detections for image in readonly.images(line=stores.line)] == [(box(),)]
        assert (len(readonly.days(stores.line)), len(readonly.runs(stores.line))) == (1, 1)
        with pytest.raises(ServiceError, match="refuses"):
            readonly.save(run_of(stores, "2"), [])
        with pytest.raises(ServiceError, match="refuses"):
            readonly.reroll(stores.line)
        readonly.close()


def test_what_a_model_saw_before_is_told_by_name_and_bytes(stores: Stores) -> None:
    first, second = run_of(stores, "seen-1"), run_of(stores, "seen-2", minutes=1)
    other = run_of(stores, "seen-3", model="b")
    images = [image_of(first, place, name=f"a/{place}.png", image=f"{place:064x}") for place in range(3)]
    again = image_of(second, 0, name="a/0.png", image=f"{0:064x}")
    replaced = image_of(second, 1, name="a/1.png", image=f"{9:064x}")
    assert stores.inspections.save(first, images)
    assert stores.inspections.save(second, [again, replaced]) == 1
    assert stores.inspections.save(other, [image_of(other, 0, name="b/2.png", image=f"{2:064x}")])
    asked = ["a/0.png", "a/1.png", "nobody.png"]
    assert stores.inspections.seen(stores.line, stores.model("a"), asked) == {
        ("a/0.png", f"{0:064x}"): {"": first.id},
        ("a/1.png", f"{1:064x}"): {"": first.id},
        ("a/1.png", f"{9:064x}"): {"": second.id},
    }
    assert stores.inspections.seen(stores.line, stores.model("b"), asked) == {}
    assert stores.inspections.seen(stores.line, None, ["a/2.png", "b/2.png"]) == {
        ("a/2.png", f"{2:064x}"): {"": first.id},
        ("b/2.png", f"{2:064x}"): {"": other.id},
    }
    assert stores.inspections.seen("another line", stores.model("a"), asked) == {}
    assert stores.inspections.seen(stores.line, stores.model("a"), []) == {}


def test_of_two_inspections_at_once_each_image_counts_once(stores: Stores) -> None:
    first, second, third = (run_of(stores, key, minutes=place) for place, key in enumerate("123"))
    shared = [{"name": f"a/{place}.png", "lot": "L1", "detections": (box("scratch"),)} for place in range(6)]
    mine = [image_of(first, place, **shared[place]) for place in range(4)]
    theirs = [image_of(second, place, **shared[place + 2]) for place in range(4)]
    assert stores.inspections.save(first, mine) == 4
    assert (
        stores.inspections.save(replace(second, images=4, defective=4, instances={"scratch": 4, "void": 0}), theirs)
        == 2
    )
    assert stores.inspections.save(third, [image_of(third, 0, **shared[5])]) == 0
    stored = stores.inspections.images(line=stores.line)
    assert sorted((image.name, image.run_id) for image in stored) == [
        *((f"a/{place}.png", first.id) for place in range(4)),
        *((f"a/{place}.png", second.id) for place in (4, 5)),
    ]
    kept = replace(second, images=2, defective=2, instances={"scratch": 2, "void": 0})
    assert stores.inspections.runs(stores.line) == [kept, first]
    assert stored_sums(stores) == recounted(stored)
    assert [lot.images for lot in stores.inspections.lots(stores.line)] == [6]
    other = run_of(stores, "4", model="b", minutes=3)
    assert stores.inspections.save(other, [image_of(other, 0, **shared[0])]) == 1, "another model says something else"


def test_what_was_dropped_has_been_seen_and_is_not_counted_again(stores: Stores) -> None:
    old, new, again = (run_of(stores, key, minutes=place) for place, key in enumerate(("old", "new", "again")))
    aged = {"name": "a.png", "lot": "L1", "captured_at": NOW - timedelta(days=90)}
    stores.inspections.save(old, [image_of(old, 0, **aged)])
    stores.inspections.save(new, [image_of(new, 0, name="b.png")])
    sums = stored_sums(stores)
    for _ in range(2):
        draft = LedgerDraft(stores.line, LedgerKind.DROPPED, stores.line, "kim", "policy", {})
        stores.inspections.retain(stores.line, before=date(2026, 2, 1), ledger=lambda _, draft=draft: draft)
        assert stores.inspections.seen(stores.line, stores.model("a"), ["a.png", "b.png"]) == {
            ("a.png", "ab" * 32): {"": old.id},
            ("b.png", "ab" * 32): {"": new.id},
        }
        assert set(stores.inspections.seen(stores.line, None, ["a.png"])) == {("a.png", "ab" * 32)}
        assert stores.inspections.seen(stores.line, stores.model("b"), ["a.png"]) == {}
        assert stores.inspections.seen("another line", None, ["a.png"]) == {}
        assert stores.inspections.save(again, [image_of(again, 0, **aged | {"captured_at": NOW})]) == 0
    assert stored_sums(stores) == sums
    assert [image.name for image in stores.inspections.images(line=stores.line)] == ["b.png"]


def test_images_of_a_run_that_forgot_them_are_known_again_and_not_counted(stores: Stores) -> None:
    run = run_of(stores, "old")
    stores.inspections.save(run, [])  # as a run is left whose images were dropped before their keys were kept
    sums = stored_sums(stores)
    for _ in range(2):
        assert stores.inspections.save(run, [image_of(run, 0, name="a.png")]) == 0
        assert stores.inspections.seen(stores.line, None, ["a.png"]) == {("a.png", "ab" * 32): {"": run.id}}
    assert stored_sums(stores) == sums
    assert stores.inspections.images(line=stores.line) == []


def test_an_image_beside_another_golden_reference_is_new_and_one_of_which_none_is_known_is_not(stores: Stores) -> None:
    runs = [run_of(stores, str(place), minutes=place) for place in range(4)]
    first, corrected, unknown, late = runs
    assert stores.inspections.save(first, [image_of(first, 0, name="a.png", reference="01" * 32)])
    assert stores.inspections.save(corrected, [image_of(corrected, 0, name="a.png", reference="02" * 32)])
    assert not stores.inspections.save(late, [image_of(late, 0, name="a.png", reference="02" * 32)])
    known = stores.inspections.seen(stores.line, None, ["a.png"])
    assert known == {("a.png", "ab" * 32): {"01" * 32: first.id, "02" * 32: corrected.id}}
    assert stores.inspections.save(unknown, [image_of(unknown, 0, name="b.png")])
    assert not stores.inspections.save(late, [image_of(late, 0, name="b.png", reference="02" * 32)])
