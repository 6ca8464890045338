"""One suite for every fact store: the one in memory behaves as the one on PostgreSQL."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import rows
from tests.unit.small_line import parts_in
from wafergate import wiring
from wafergate.adapters.memory import MemoryFacts
from wafergate.adapters.postgres import PostgresFacts
from wafergate.adapters.postgres.tables import KINDS, table_of
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.choice import BriefTraining, RungResult
from wafergate.domain.devices import card_numbers
from wafergate.domain.drift import DriftReport
from wafergate.domain.gate import Champion, GateDecision, GatePolicy, LedgerEntry, LedgerKind, Verdict, broken_links
from wafergate.domain.models import Candidate, Channels, Decoder
from wafergate.domain.production import ProductionFigures
from wafergate.domain.review import ReviewAnswer, ReviewItem
from wafergate.domain.samples import DatasetVersion, ImageRecord, Sample
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import MemoryStep, ModelVersion, TrainingEpoch
from wafergate.errors import NotFoundError, PromotionError, ServiceError, StorageError
from wafergate.jobs.ladder import train_within_memory
from wafergate.ports import FactStore, LedgerDraft
from wafergate.settings import OFFER_NAME, Settings

NUMBERS = count()


def later() -> datetime:
    return datetime(2026, 3, 2, 9, 0, 0, 654321, tzinfo=UTC)


@pytest.fixture(
    params=[pytest.param("memory", marks=pytest.mark.unit), pytest.param("postgres", marks=pytest.mark.services)]
)
def facts(request: pytest.FixtureRequest) -> Iterator[FactStore]:
    if request.param == "memory":
        yield MemoryFacts(clock=later)
        return
    values: Settings = request.getfixturevalue("service_settings")
    store = PostgresFacts(values.database_url.get_secret_value(), clock=later)
    yield store
    store.close()


@pytest.fixture
def line() -> str:
    """A line of one's own for each test, as the store is shared."""
    return f"line-{next(NUMBERS)}"


def judged(facts: FactStore, line: str, *names: str, verdict: Verdict = Verdict.PASS) -> None:
    """Save everything down to a gate decision for each model named, each compared with every other."""
    facts.save(rows.dataset(line))
    facts.save(rows.split(line))
    facts.save(rows.training_set(line))
    for name in names:
        facts.save(rows.model(line, name))
        facts.save(rows.evaluation(line, name))
        facts.save(rows.decision(line, name, verdict))
    facts.save_all(rows.comparison(line, name, other) for name in names for other in names if name != other)


def crown(line: str, name: str) -> Champion:
    return Champion(line, f"model-{line}-{name}", f"decision-{line}-{name}", "kim", "because", later())


def test_every_kind_of_row_comes_back_as_it_went_in(facts: FactStore, line: str) -> None:
    judged(facts, line, "a", "b")
    compared = rows.comparison(line, "b", "a")
    facts.save(compared)
    facts.save(rows.report(line, "a"))
    for row in (
        rows.split(line), rows.training_set(line), rows.evaluation(line, "a"), compared, rows.decision(line, "a"),
        rows.report(line, "a"),
    ):  # fmt: skip
        assert facts.get(type(row), row.id) == row
    assert facts.get(ModelVersion, f"model-{line}-a") == replace(rows.model(line, "a"), number=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_value_object_has_its_columns(facts: FactStore, kind: type) -> None:
    assert isinstance(facts.find(kind, limit=1), list)


def test_a_brief_training_and_a_step_down_come_back_as_they_went_in(facts: FactStore, line: str) -> None:
    judged(facts, line, "a")
    now = rows.training_set(line).created_at
    brief = BriefTraining(f"{line}-rung", rows.training_set(line).id, "nano", RungResult(3, 0.25, "void", 0.5), now)
    step = MemoryStep(f"{line}-step", "m", 2, 8, 8, 4, 300.0, "no room", now, "here")
    for row in (brief, step):
        assert facts.save(row)
        assert facts.get(type(row), row.id) == row
    assert facts.find(MemoryStep, model_id="m", machine="here", budget_mib=300.0) == [step]
    assert facts.find(MemoryStep, model_id="m", machine="there", budget_mib=300.0) == []


def test_a_drift_report_comes_back_with_its_slices_and_advice(facts: FactStore, line: str) -> None:
    judged(facts, line, "a")
    report = rows.drift_report(line, rows.model(line, "a"))
    assert facts.save(report)
    assert facts.find(DriftReport, line=line) == [report]


def test_parts_come_back_in_order_with_boxes_outlines_and_any_script(facts: FactStore, line: str) -> None:
    images = [rows.image(f"{line}-{place}".ljust(64, "0")) for place in range(30)]
    facts.save_all(images)
    samples = [rows.sample(line, place, images[place].id) for place in range(30)]
    assert facts.save(rows.dataset(line), reversed(samples))
    assert facts.find(Sample, dataset_id=f"data-{line}") == samples


def test_rows_are_counted_by_a_column(facts: FactStore, line: str) -> None:
    other = f"{line}-other"
    for row in (rows.dataset(line), rows.dataset(line, f"data-{line}-2"), rows.dataset(other)):
        facts.save(row)
    counted = facts.count(DatasetVersion, "line")
    assert (counted[line], counted[other]) == (2, 1)
    assert facts.count(DatasetVersion, "format", line=[line, other], number=1) == {"coco": 2}
    assert facts.count(DatasetVersion, "line", line="nobody") == {}


def test_a_part_that_is_there_twice_is_refused_and_nothing_is_written(facts: FactStore, line: str) -> None:
    image = rows.image(f"{line}-0".ljust(64, "0"))
    facts.save_all([image])
    sample = rows.sample(line, 0, image.id)
    with pytest.raises(StorageError, match="already"):
        facts.save(rows.dataset(line), [sample, sample])
    assert facts.find(DatasetVersion, line=line) == []
    assert facts.save(rows.dataset(line), [sample])
    with pytest.raises(StorageError, match="already"):
        facts.save(rows.dataset(line, f"data-{line}-2"), [sample])
    assert len(facts.find(DatasetVersion, line=line)) == 1


def test_a_suspicion_and_its_answer_come_back_as_they_went_in(facts: FactStore, line: str) -> None:
    image = rows.image(f"{line}-0".ljust(64, "0"))
    facts.save_all([image])
    facts.save(rows.dataset(line))
    corrected = replace(rows.dataset(line, f"data-{line}-2"), parent=f"data-{line}")
    facts.save(corrected)
    assert facts.get(DatasetVersion, corrected.id) == replace(corrected, number=2)
    item = rows.review_item(line, image.id)
    answer = replace(rows.review_answer(item), corrected_in=corrected.id)
    assert facts.save_all([item]) == 1
    assert facts.save_all([answer]) == 1
    assert facts.find(ReviewItem, dataset_id=f"data-{line}") == [item]
    assert facts.find(ReviewAnswer, key=[item.key]) == [answer]


def test_the_truth_of_inspected_images_comes_back_as_it_went_in(facts: FactStore, line: str) -> None:
    judged(facts, line, "a")
    image = rows.image(f"{line}-0".ljust(64, "0"))
    facts.save_all([image])
    draw = rows.production_draw(line, "a")
    item = rows.production_item(draw, image.id)
    truth = rows.reviewed_image(item, rows.sample(line, 0, image.id).boxes)
    assert facts.save(draw, [item])
    assert facts.save(rows.production_export(item))
    assert facts.save(rows.production_review(item), [truth])
    assert facts.save(rows.production_figures(line, "a"))
    for row in (draw, item, truth, rows.production_export(item), rows.production_review(item)):
        assert facts.find(type(row), line=line) == [row]
    assert facts.find(ProductionFigures, line=line) == [rows.production_figures(line, "a")]


def test_saving_again_changes_nothing_and_says_so(facts: FactStore, line: str) -> None:
    assert facts.save(rows.dataset(line))
    assert not facts.save(replace(rows.dataset(line), source="elsewhere"), alerts=[rows.alert(line)])
    assert facts.get(DatasetVersion, f"data-{line}").source == "folder x"
    assert not facts.find(Alert, line=line)


def test_many_rows_at_once_leave_those_already_there(facts: FactStore, line: str) -> None:
    first = [rows.image(f"{line}-{place}".ljust(64, "1")) for place in range(3)]
    assert facts.save_all(first[:2]) == 2
    assert facts.save_all([*first, first[2]]) == 1
    assert {row.id for row in facts.find(ImageRecord, id=[row.id for row in first])} == {row.id for row in first}


def test_versions_are_numbered_line_by_line(facts: FactStore, line: str) -> None:
    for place in range(3):
        facts.save(rows.dataset(line, f"data-{line}-{place}"))
    facts.save(rows.dataset(f"{line}-other"))
    assert [row.number for row in facts.find(DatasetVersion, line=line)] == [3, 2, 1]
    assert facts.get(DatasetVersion, f"data-{line}-other").number == 1


def test_a_missing_row_is_named(facts: FactStore) -> None:
    with pytest.raises(NotFoundError, match="dataset version 'data-nowhere'"):
        facts.get(DatasetVersion, "data-nowhere")


def test_a_row_comes_with_its_ledger_entry_and_alert(facts: FactStore, line: str) -> None:
    facts.save(rows.dataset(line))
    facts.save(rows.split(line))
    facts.save(rows.training_set(line))
    facts.save(rows.model(line, "a"))
    facts.save(rows.evaluation(line, "a"))
    told = LedgerDraft(line, LedgerKind.DECIDED, "x", "kim", "why", {"share": 0.1, "n": 3, "deep": {"a": [1, None]}})
    facts.save(rows.decision(line, "a", Verdict.FAIL), ledger=[told], alerts=[rows.alert(line)])
    (entry,) = facts.ledger(line)
    assert (entry.kind, entry.actor, entry.details) == (LedgerKind.DECIDED, "kim", told.details)
    assert [alert.id for alert in facts.waiting_alerts() if alert.line == line] == [f"alert-{line}-gate"]


def test_a_sent_alert_waits_no_more(facts: FactStore, line: str) -> None:
    facts.save(rows.alert(line))
    facts.mark_alert(replace(rows.alert(line), state=AlertState.SENT, attempts=1, sent_at=later()))
    assert not [alert for alert in facts.waiting_alerts() if alert.line == line]
    assert facts.get(Alert, f"alert-{line}-gate").sent_at == later()


def test_of_two_who_mark_an_alert_from_the_same_standing_one_succeeds(facts: FactStore, line: str) -> None:
    seen = rows.alert(line)
    facts.save(seen)
    told = LedgerDraft(line, LedgerKind.ACKNOWLEDGED, seen.id, "kim", "seen", {})
    first = replace(seen, attempts=1, last_error="down", next_try_at=later(), taken=("1 json",))
    assert facts.mark_alert(first, was=seen, ledger=[told])
    assert not facts.mark_alert(replace(seen, state=AlertState.SENT), was=seen, ledger=[told])
    assert facts.get(Alert, seen.id) == first
    assert len(facts.ledger(line)) == 1
    assert not facts.mark_alert(replace(first, id="alert-none"))


def test_what_an_alert_says_never_changes(facts: FactStore, line: str) -> None:
    facts.save(rows.alert(line))
    facts.mark_alert(replace(rows.alert(line), title="all is well", body="", attachments=("ab" * 32,), attempts=1))
    assert facts.get(Alert, f"alert-{line}-gate") == replace(rows.alert(line), attempts=1)


def test_only_a_pass_promotes(facts: FactStore, line: str) -> None:
    judged(facts, line, "a", verdict=Verdict.UNDECIDED)
    with pytest.raises(PromotionError, match="only a pass promotes"):
        facts.promote(crown(line, "a"), kind=LedgerKind.PROMOTED, details={})
    with pytest.raises(PromotionError, match="no gate decision"):
        facts.promote(replace(crown(line, "a"), decision_id="none"), kind=LedgerKind.PROMOTED, details={})
    assert facts.champion(line) is None
    assert not facts.ledger(line)


def test_a_decision_promotes_its_own_model_only(facts: FactStore, line: str) -> None:
    judged(facts, line, "a", "b")
    with pytest.raises(PromotionError, match="judged model"):
        facts.promote(replace(crown(line, "a"), model_id=f"model-{line}-b"), kind=LedgerKind.PROMOTED, details={})


def test_the_ledger_tells_who_followed_whom_and_its_chain_holds(facts: FactStore, line: str) -> None:
    judged(facts, line, "a", "b")
    for name in ("a", "b", "a"):
        facts.promote(crown(line, name), kind=LedgerKind.PROMOTED, details={"look": 1.0})
    assert facts.champion(line) == crown(line, "a")
    assert [entry.details["before"] for entry in facts.ledger(line)] == [None, f"model-{line}-a", f"model-{line}-b"]
    assert broken_links(facts.ledger()) == []


def test_thirty_two_promotions_at_once_end_with_one_champion_and_thirty_two_entries(
    facts: FactStore, line: str
) -> None:
    names = [f"m{place}" for place in range(32)]
    judged(facts, line, *names)
    threads = [
        threading.Thread(
            target=facts.promote, args=(crown(line, name),), kwargs={"kind": LedgerKind.PROMOTED, "details": {}}
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = facts.ledger(line)
    assert sorted(entry.subject for entry in entries) == sorted(f"model-{line}-{name}" for name in names)
    last = facts.champion(line)
    assert last is not None
    assert last.model_id == entries[-1].subject
    assert broken_links(facts.ledger()) == []


def test_a_pass_that_was_never_compared_with_the_champion_of_now_does_not_promote(facts: FactStore, line: str) -> None:
    judged(facts, line, "x")
    judged(facts, line, "y")  # both passed while nothing judged the line
    facts.promote(crown(line, "x"), kind=LedgerKind.PROMOTED, details={})
    with pytest.raises(
        PromotionError, match=rf"never compared model-{line}-y with model-{line}-x.*`wafergate retrain`"
    ):
        facts.promote(crown(line, "y"), kind=LedgerKind.PROMOTED, details={})
    facts.promote(crown(line, "x"), kind=LedgerKind.PROMOTED, details={})  # champion already: nothing to compare with
    assert facts.champion(line) == crown(line, "x")
    facts.save(rows.comparison(line, "y", "x"))
    facts.promote(crown(line, "y"), kind=LedgerKind.PROMOTED, details={})
    facts.promote(crown(line, "x"), kind=LedgerKind.ROLLED_BACK, details={})  # the way back asks for no comparison


@pytest.mark.parametrize("newest", [Verdict.PASS, Verdict.UNDECIDED])
def test_of_several_decisions_on_a_model_only_the_newest_promotes(facts: FactStore, line: str, newest: Verdict) -> None:
    judged(facts, line, "a", "b")
    passed, other = rows.decision(line, "a"), rows.decision(line, "b")
    for hours, verdict in ((-1, Verdict.FAIL), (1, Verdict.UNDECIDED), (2, Verdict.PASS), (3, newest)):
        at = passed.created_at + timedelta(hours=hours)
        facts.save(replace(passed, id=f"{passed.id}-{hours}", verdict=verdict, created_at=at))
    facts.save(replace(other, id=f"{other.id}-later", created_at=passed.created_at + timedelta(hours=4)))
    told = rf"no longer stands: the gate said {newest.value} .* in {passed.id}-3"
    told += rf": run `wafergate approve {passed.id}-3`" if newest is Verdict.PASS else ".*`wafergate retrain`"
    for name in (passed.id, f"{passed.id}-2"):
        with pytest.raises(PromotionError, match=told):
            facts.promote(replace(crown(line, "a"), decision_id=name), kind=LedgerKind.PROMOTED, details={})
    assert (facts.champion(line), facts.ledger(line)) == (None, [])
    if newest is Verdict.PASS:
        facts.promote(replace(crown(line, "a"), decision_id=f"{passed.id}-3"), kind=LedgerKind.PROMOTED, details={})
    facts.promote(crown(line, "a"), kind=LedgerKind.ROLLED_BACK, details={})  # the way back asks for no newest


@pytest.mark.unit
def test_one_changed_byte_breaks_the_chain() -> None:
    facts = MemoryFacts(clock=later)
    judged(facts, "x", "a", "b")
    for name in ("a", "b"):
        facts.promote(crown("x", name), kind=LedgerKind.PROMOTED, details={})
    first, second = facts.ledger()
    assert broken_links([replace(first, reason="becausf"), second]) == [1]
    assert broken_links([second]) == [2]


FIRST_BYTE = "overlay({0} placing '~' from 1 for 1)"
CHANGES = dict.fromkeys(("line", "kind", "subject", "actor", "reason", "previous", "hash"), FIRST_BYTE) | {
    "seq": "{0} + 1000000",
    "created_at": "{0} + interval '1 microsecond'",
    "details": "replace({0}::text, '0.1', '0.2')::json",
    "details ": "(' ' || {0}::text)::json",  # the same value in other bytes
}


@pytest.mark.services
@pytest.mark.parametrize("column", CHANGES)
def test_one_changed_byte_in_any_column_of_any_row_is_found(column: str, service_settings: Settings) -> None:
    facts = PostgresFacts(service_settings.database_url.get_secret_value(), clock=wiring.now)
    line = f"line-{next(NUMBERS)}"
    judged(facts, line, "a", "b", "c")
    for name in ("a", "b", "c"):
        facts.promote(crown(line, name), kind=LedgerKind.PROMOTED, details={"share": 0.1, "said": "é"})
    assert facts.check_ledger()[1] == []
    secret = json.loads((wiring.home() / OFFER_NAME).read_text())["secrets"]["postgres"]
    host = service_settings.database_url.get_secret_value().rpartition("@")[2]
    with psycopg.connect(f"postgresql://postgres:{secret}@{host}") as superuser:
        superuser.execute("SET session_replication_role = replica")  # the ledger's trigger is off
        for entry in facts.ledger(line):
            saved = superuser.execute("SELECT ledger::text FROM ledger WHERE seq = %s", [entry.seq]).fetchone()
            change = CHANGES[column].format(column)
            superuser.execute(f"UPDATE ledger SET {column} = {change} WHERE seq = %s", [entry.seq])  # type: ignore[arg-type]  # noqa: S608
            superuser.commit()
            assert facts.check_ledger()[1], (entry.seq, change)
            superuser.execute("DELETE FROM ledger WHERE seq IN (%s, %s)", [entry.seq, entry.seq + 1_000_000])
            superuser.execute("INSERT INTO ledger SELECT (%s::ledger).*", saved)
            superuser.commit()
    assert facts.check_ledger()[1] == []
    facts.close()


def test_every_column_of_the_ledger_is_tried() -> None:
    assert {name.strip() for name in CHANGES} == set(table_of(LedgerEntry).columns)


def test_a_name_is_held_by_one_at_a_time_and_the_next_is_told_that_it_waits(facts: FactStore, line: str) -> None:
    story: list[str] = []
    inside, waits = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait(30)
        with facts.exclusive(line, waiting=waits.set):
            story.append("second")

    other = threading.Thread(target=second)
    other.start()
    with facts.exclusive(line, waiting=lambda: story.append("waited in vain")):
        with facts.exclusive(f"{line}-other", waiting=lambda: story.append("another name is free")):
            inside.set()
        assert waits.wait(30)
        story.append("first")
    other.join(30)
    assert story == ["first", "second"]


def test_trainings_on_other_cards_run_side_by_side_and_one_that_shares_a_card_waits(
    facts: FactStore, line: str, tmp_path: Path
) -> None:
    story: list[str] = []
    both, inside, waits = threading.Barrier(2, timeout=60), threading.Event(), threading.Event()

    def trainer(job: TrainingJob, **_: object) -> TrainedArtefact:
        if "0,1" not in job.device:
            both.wait()  # the two on disjoint cards are inside at once, or this breaks
            inside.set()
            assert waits.wait(60)
        story.append(job.device)
        return TrainedArtefact(tmp_path, tmp_path, Decoder.YOLO, 1, 1, 1.0, {})

    def run(device: str) -> None:
        job = TrainingJob(
            Candidate("x", "x", "x", "MIT"), ("a",), tmp_path, tmp_path, None, Channels.IMAGE, 32, 1, 1, 0.0, 0.0, 0,
            device,
        )  # fmt: skip
        cards = tuple(f"{line} {number}" for number in card_numbers(device) or ())
        parts = replace(parts_in(tmp_path / device), facts=facts, trainers={"x": trainer}, devices=lambda _: cards)
        train_within_memory(
            parts, job, f"{line}-{device}", on_epoch=print, on_step=print, checkpoint_seconds=9, on_wait=waits.set
        )

    threads = [threading.Thread(target=run, args=(device,)) for device in ("cuda:0", "cuda:1,2")]
    for thread in threads:
        thread.start()
    assert inside.wait(60)
    threads.append(threading.Thread(target=run, args=("cuda:0,1",)))
    threads[-1].start()
    for thread in threads:
        thread.join(90)
    assert story[-1] == "cuda:0,1"
    assert sorted(story[:-1]) == ["cuda:0", "cuda:1,2"]


def test_a_name_is_free_again_after_its_holder_failed(facts: FactStore, line: str) -> None:
    with pytest.raises(KeyError), facts.exclusive(line, waiting=lambda: None):
        raise KeyError(line)
    waited: list[str] = []
    with facts.exclusive(line, waiting=lambda: waited.append(line)):
        assert waited == []


@pytest.mark.services
class TestDatabaseItself:
    """What PostgreSQL refuses whoever asks."""

    def connect(self, url: Any) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(url.get_secret_value(), autocommit=True)

    def test_nobody_rewrites_the_ledger(self, service_settings: Settings) -> None:
        facts = PostgresFacts(service_settings.database_url.get_secret_value(), clock=later)
        line = f"line-{next(NUMBERS)}"
        judged(facts, line, "a")
        facts.promote(crown(line, "a"), kind=LedgerKind.PROMOTED, details={})
        for url in (service_settings.database_url, service_settings.database_admin_url):
            for statement in ("UPDATE ledger SET reason = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"):
                with self.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)  # type: ignore[arg-type]

    def test_no_hand_can_crown_a_model_that_did_not_pass(self, service_settings: Settings) -> None:
        facts = PostgresFacts(service_settings.database_url.get_secret_value(), clock=later)
        line = f"line-{next(NUMBERS)}"
        judged(facts, line, "a", verdict=Verdict.FAIL)
        values = [line, f"model-{line}-a", f"decision-{line}-a", "kim", "x", later()]
        statement = (
            "INSERT INTO champion (line, model_id, decision_id, actor, reason, since) VALUES (%s, %s, %s, %s, %s, %s)"
        )
        with (
            self.connect(service_settings.database_url) as connection,
            pytest.raises(psycopg.errors.ForeignKeyViolation),
        ):
            connection.execute(statement, values)

    def test_the_application_cannot_rewrite_or_delete_an_alert(self, service_settings: Settings) -> None:
        for statement in ("UPDATE alert SET body = 'all is well'", "UPDATE alert SET line = 'x'", "DELETE FROM alert"):
            with (
                self.connect(service_settings.database_url) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(statement)  # type: ignore[arg-type]

    def test_who_trained_cannot_release_whatever_program_writes_the_row(self, service_settings: Settings) -> None:
        facts = PostgresFacts(service_settings.database_url.get_secret_value(), clock=later)
        line = f"line-{next(NUMBERS)}"
        judged(facts, line, "x")
        facts.save(rows.model(line, "a"))
        facts.save(rows.evaluation(line, "a"))
        two = replace(rows.decision(line, "a"), policy=GatePolicy(approval="approval", approver_differs=True))
        asked = LedgerDraft(line, LedgerKind.DECIDED, two.id, " Kim", "x", {"model": two.model_id})
        facts.save(two, ledger=[asked])
        facts.save_all([rows.comparison(line, "x", "a"), rows.comparison(line, "a", "x")])
        facts.save(TrainingEpoch(f"epoch-{line}", two.model_id, 1, 8, 0.5, 2.0, None, later(), "Park "))
        for name in ("kim", "park"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="who trained it"):
                facts.promote(replace(crown(line, "a"), actor=name), kind=LedgerKind.PROMOTED, details={})
        assert (facts.champion(line), len(facts.ledger(line))) == (None, 1)
        facts.promote(replace(crown(line, "a"), actor="lee"), kind=LedgerKind.PROMOTED, details={})
        facts.promote(crown(line, "x"), kind=LedgerKind.PROMOTED, details={})
        facts.promote(crown(line, "a"), kind=LedgerKind.ROLLED_BACK, details={})  # no new release

    def test_the_dashboard_can_only_read(self, service_settings: Settings) -> None:
        facts = PostgresFacts(service_settings.database_readonly_url.get_secret_value(), clock=later)
        assert facts.find(GateDecision, line="nowhere") == []
        with pytest.raises(ServiceError, match="refuses"):
            facts.save(rows.dataset("readonly"))

    def test_a_server_that_was_started_again_answers_the_very_next_call(self, service_settings: Settings) -> None:
        facts = PostgresFacts(service_settings.database_url.get_secret_value(), clock=later)
        assert facts.champion("nowhere") is None
        others = "pid <> pg_backend_pid() AND usename = current_user"
        cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"  # noqa: S608
        with self.connect(service_settings.database_url) as connection:
            (ended,) = connection.execute(cut).fetchone() or (0,)  # type: ignore[arg-type]
        assert ended >= 1
        assert facts.champion("nowhere") is None

    def test_a_stopped_database_is_one_sentence(self) -> None:
        facts = PostgresFacts("postgresql://wafergate_app:secret@127.0.0.1:9/wafergate", clock=later)
        with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9/wafergate does not answer") as caught:
            facts.champion("x")
        assert "secret" not in str(caught.value)
