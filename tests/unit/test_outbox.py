"""The outbox: nothing is lost, nothing is told twice in a window, and a person can take an alert in hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.small_line import parts_in
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.alerts import LONGEST_PAUSE, Alert, AlertPolicy, AlertState, pause
from wafergate.domain.gate import LedgerKind, broken_links
from wafergate.errors import AlertError, ConfigError, NotFoundError, WafergateError
from wafergate.jobs.alerts import Dispatch, acknowledge, dispatch
from wafergate.jobs.parts import Parts
from wafergate.line import parse_line
from wafergate.ports import Attachment
from wafergate.stages.alerts import crash_alert, flow_alert

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
POLICY = AlertPolicy(window_hours=12)
SECRET = "hush-8f3a"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Inbox:
    """Two channels, of which those in `down` take nothing."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.mail: list[tuple[str, str, str]] = []
        self.pictures: list[Attachment] = []

    def __call__(
        self, title: str, body: str, attachments: Sequence[Attachment] = (), *, taken: Sequence[str] = ()
    ) -> None:
        have = list(taken)
        for name in ("1 json", "2 mailto"):
            if name not in have and name not in self.down:
                self.mail.append((name, title, body))
                have.append(name)
        self.pictures += attachments
        if len(have) < 2:
            message = "one did not answer"
            raise AlertError(message, tuple(have))

    @property
    def titles(self) -> list[str]:
        return [title for name, title, _ in self.mail if name == "1 json"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> Parts:
    return parts_in(tmp_path, facts=MemoryFacts(clock=clock), clock=clock)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def failed(parts: Parts, run: str, why: str = "no disk space") -> Alert:
    alert = flow_alert("pcb", "retrain", run, why, now=parts.clock())
    parts.facts.save(alert)
    return alert


def send(parts: Parts, inbox: Inbox, policy: AlertPolicy = POLICY) -> Dispatch:
    return dispatch(parts, inbox, policy, line="pcb")


def state(parts: Parts, alert: Alert) -> AlertState:
    return parts.facts.get(Alert, alert.id).state


def test_the_same_cause_is_sent_once_in_a_window_and_what_came_up_meanwhile_is_counted_in_the_next(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    first = failed(parts, "run-1")
    assert send(parts, inbox) == Dispatch(sent=1)
    later = []
    for place in range(3):
        clock.forward(hours=1)
        later.append(failed(parts, f"run-{place + 2}"))
        assert send(parts, inbox) == Dispatch(held=place + 1)
    clock.forward(hours=9)
    assert send(parts, inbox) == Dispatch(sent=3)
    assert len(inbox.titles) == 2
    assert inbox.titles[1] == f"{first.title} (2 more times)"
    assert "2 more times since 2026-03-01 09:00 UTC" in inbox.mail[-1][2]
    assert [state(parts, alert) for alert in later] == [AlertState.FOLDED, AlertState.FOLDED, AlertState.SENT]
    assert parts.facts.get(Alert, later[0].id).told_by == later[2].id
    assert send(parts, inbox) == Dispatch()


def test_another_cause_is_sent_within_the_window_and_a_window_of_nothing_sends_each(parts: Parts, inbox: Inbox) -> None:
    failed(parts, "run-1")
    send(parts, inbox)
    failed(parts, "run-2", "no such file")
    assert send(parts, inbox) == Dispatch(sent=1)
    failed(parts, "run-3")
    assert send(parts, inbox, AlertPolicy(window_hours=0)) == Dispatch(sent=1)


def test_a_run_that_is_left_to_a_person_is_told_at_once_although_its_crashes_were(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    for crash, told in ((1, Dispatch(sent=1)), (2, Dispatch(held=1)), (3, Dispatch(sent=1, held=1))):
        parts.facts.save(
            crash_alert("pcb", "retrain 1", f"run-1 {crash}", "no power", again=crash < 3, now=parts.clock())
        )
        assert send(parts, inbox) == told
        clock.forward(minutes=10)
    assert inbox.titles[-1] == "pcb: run retrain 1 crashed too often"


def test_what_failed_waits_longer_each_time_and_a_person_need_not_wait(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    alert = failed(parts, "run-1")
    inbox.down = {"1 json", "2 mailto"}
    assert send(parts, inbox) == Dispatch(waiting=1, problem="one did not answer")
    due = parts.facts.get(Alert, alert.id).next_try_at
    assert due == START + pause(1, alert.id)
    clock.forward(seconds=30)
    assert send(parts, inbox) == Dispatch(waiting=1)
    assert parts.facts.get(Alert, alert.id).attempts == 1
    clock.now = due
    send(parts, inbox)
    second = parts.facts.get(Alert, alert.id)
    assert second.attempts == 2
    assert second.next_try_at == due + pause(2, alert.id)
    inbox.down = set()
    assert send(parts, inbox) == Dispatch(waiting=1)
    assert dispatch(parts, inbox, POLICY, line="pcb", at_once=True) == Dispatch(sent=1)


def test_a_channel_that_took_an_alert_does_not_get_it_again_while_another_is_down(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    failed(parts, "run-1")
    inbox.down = {"2 mailto"}
    for place in range(3):
        send(parts, inbox)
        clock.forward(hours=1)
        failed(parts, f"later-{place}")
    inbox.down = set()
    assert send(parts, inbox) == Dispatch(sent=1, waiting=3)
    assert [name for name, _, _ in inbox.mail] == ["1 json", "2 mailto"]
    assert inbox.mail[0][1:] == inbox.mail[1][1:]  # both channels told the same story
    clock.forward(hours=13)
    assert send(parts, inbox) == Dispatch(sent=3)


def test_several_alerts_that_one_channel_took_together_go_to_the_others_as_the_same_message(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    told = [failed(parts, "run-1")]
    clock.forward(minutes=1)
    told.append(failed(parts, "run-2"))
    inbox.down = {"2 mailto"}
    assert send(parts, inbox) == Dispatch(waiting=2, problem="one did not answer")
    clock.forward(hours=1)
    later = failed(parts, "run-3")
    send(parts, inbox)
    inbox.down = set()
    clock.forward(hours=2)
    assert send(parts, inbox) == Dispatch(sent=2, waiting=1)
    assert [name for name, _, _ in inbox.mail] == ["1 json", "2 mailto"]
    assert inbox.mail[0][1:] == inbox.mail[1][1:]
    assert [state(parts, alert) for alert in (*told, later)] == [
        AlertState.FOLDED, AlertState.SENT, AlertState.WAITING,
    ]  # fmt: skip
    assert [parts.facts.get(Alert, alert.id).told_by for alert in told] == [told[1].id, ""]
    clock.forward(hours=13)
    assert send(parts, inbox) == Dispatch(sent=1)
    assert inbox.titles == [f"{told[1].title} (1 more time)", later.title]


def test_of_a_message_that_one_channel_took_what_somebody_takes_in_hand_goes_to_no_other(
    parts: Parts, inbox: Inbox, clock: Clock
) -> None:
    alerts = []
    for place in range(3):
        alerts.append(failed(parts, f"run-{place}"))
        clock.forward(minutes=1)
    inbox.down = {"2 mailto"}
    send(parts, inbox)
    inbox.down = set()
    for place in (0, 2):
        acknowledge(parts, alerts[place].id, actor="kim", reason="disk cleared")
    clock.forward(hours=1)
    assert send(parts, inbox) == Dispatch(sent=1)
    assert [(name, title) for name, title, _ in inbox.mail[1:]] == [("2 mailto", alerts[1].title)]


def test_who_dies_between_sending_and_writing_it_down_sends_again(parts: Parts, clock: Clock, inbox: Inbox) -> None:
    alert = failed(parts, "run-1")

    def killed(*args: object, **options: object) -> None:
        inbox(str(args[0]), str(args[1]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatch(parts, killed, POLICY, line="pcb")
    assert (state(parts, alert), parts.facts.get(Alert, alert.id).attempts) == (AlertState.WAITING, 1)
    clock.forward(hours=1)
    assert send(parts, inbox) == Dispatch(sent=1)
    assert inbox.titles == [alert.title] * 2


def test_of_two_dispatchers_at_work_one_sends(parts: Parts, inbox: Inbox) -> None:
    failed(parts, "run-1")
    failed(parts, "run-2")
    inner: list[Dispatch] = []

    def slow(*args: object, **options: object) -> None:
        inner.append(send(parts, inbox))  # while the first one speaks to its channel

    assert dispatch(parts, slow, POLICY, line="pcb") == Dispatch(sent=2)
    assert inner == [Dispatch(waiting=2)]
    assert inbox.mail == []


def test_an_alert_that_somebody_takes_in_hand_is_not_sent_any_more_and_stands_in_the_ledger(
    parts: Parts, inbox: Inbox
) -> None:
    alert = failed(parts, "run-1")
    assert acknowledge(parts, alert.id, actor="kim", reason="disk cleared") == (alert.id, False)
    assert acknowledge(parts, alert.id, actor="kim", reason="again") == (alert.id, True)
    with pytest.raises(WafergateError, match="acknowledged by kim already"):
        acknowledge(parts, alert.id, actor="lee", reason="me too")
    with pytest.raises(NotFoundError):
        acknowledge(parts, "alert-none", actor="kim", reason="x")
    assert send(parts, inbox) == Dispatch()
    (entry,) = parts.facts.ledger("pcb")
    assert (entry.kind, entry.subject, entry.actor, entry.reason) == (
        LedgerKind.ACKNOWLEDGED, alert.id, "kim", "disk cleared",
    )  # fmt: skip
    assert broken_links([entry]) == []


def test_a_picture_goes_along_and_a_lost_one_is_told_of(parts: Parts, inbox: Inbox) -> None:
    digest = parts.files.put(b"\x89PNG picture")
    alert = replace(flow_alert("pcb", "retrain", "run-1", "x", now=START), attachments=(digest, "ab" * 32))
    parts.facts.save(alert)
    assert send(parts, inbox) == Dispatch(sent=1)
    assert inbox.pictures == [Attachment(f"{alert.id}-1.png", b"\x89PNG picture")]
    assert "The attachment abababababab could not be read" in inbox.mail[0][2]


@given(tries=st.integers(1, 10_000), seed=st.text(max_size=20))
def test_a_pause_is_within_a_quarter_of_its_step_and_never_beyond_an_hour(tries: int, seed: str) -> None:
    step = min(timedelta(minutes=2) * 2 ** min(tries - 1, 20), LONGEST_PAUSE)
    assert 0.75 * step <= pause(tries, seed) <= step
    assert pause(tries, seed) == pause(tries, seed)


def test_alerts_that_failed_together_come_back_apart() -> None:
    assert len({pause(3, f"alert-{place}") for place in range(50)}) == 50


def line_file(channels: str) -> str:
    return f'[line]\nname = "pcb"\nclasses = ["spur"]\n[alerts]\nchannels = {channels}\n'


@pytest.mark.parametrize(
    "address",
    [
        f"json://user:{SECRET}@fab.example",
        f"json://{SECRET}@fab.example",
        f"jsons://fab.example/hooks/{SECRET}",
        f"json://fab.example/?+X-Token={SECRET}",
        f"json://fab.example/#{SECRET}",
        f"mailto://me:{SECRET}@fab.example",
        f"mailto://fab.example?user=me&pass={SECRET}",
        f"slack://{SECRET}/b/c",
        f"tgram://{SECRET}/1",
        SECRET,
    ],
)
def test_an_address_that_may_carry_a_secret_cannot_stand_in_a_line_file(address: str, tmp_path: Path) -> None:
    for text in (f'["json://fab.example", "{address}"]', f'"{address}"', f'[["{address}"]]'):
        with pytest.raises(ConfigError) as caught:
            parse_line(line_file(text), tmp_path / "line.toml")
        assert SECRET not in str(caught.value)
        assert "alerts" in str(caught.value)
    with pytest.raises(ConfigError, match=r"address 2 may carry a secret.*env:NAME"):
        parse_line(line_file(f'["json://fab.example", "{address}"]'), tmp_path / "line.toml")


def test_a_plain_host_mail_without_password_and_a_variable_can_stand_there(tmp_path: Path) -> None:
    listed = ["env:ALERTS", "json://fab.example:8080/", "mailto://fab.example:25?from=a@b.example&to=c@d.example"]
    line = parse_line(line_file(str(listed).replace("'", '"')), tmp_path / "line.toml")
    assert list(line.alerts.channels) == listed
