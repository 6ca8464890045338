"""What people decide about the quarantine: kept for good, told in the ledger, and it changes the next intake."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.exports import Files, coco_export, coco_of, masked_export, pcb_export, voc_export, yolo_export
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import parts_in
from wafergate.domain.gate import LedgerKind
from wafergate.domain.quarantine import INSTEAD, RELEASE_MEANS, QuarantineChange, QuarantineState
from wafergate.domain.samples import DatasetVersion, Quarantined, QuarantineReason, Sample
from wafergate.errors import ConfigError, NotFoundError, QuarantineError
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.quarantine import Held, decide_on, find_held, held
from wafergate.line import LineFile, parse_line

pytestmark = pytest.mark.unit

R = QuarantineReason
RELEASED, DROPPED = QuarantineState.RELEASED, QuarantineState.DROPPED

OVERRULED: dict[QuarantineReason, tuple[str, Files, str]] = {
    R.WRONG_SUFFIX: ("coco", coco_export() | {"bad.png": picture(suffix=".jpg")}, "bad.png"),
    R.SIZE_MISMATCH: (
        "coco",
        coco_export(
            images=[{"id": 1, "file_name": "good.png"}, {"id": 2, "file_name": "bad.png", "width": 8, "height": 8}]
        ),
        "bad.png",
    ),
    R.DUPLICATE: (
        "yolo",
        yolo_export("0 .5 .5 .2 .2") | {"images/bad.bmp": picture(suffix=".bmp")},
        "images/bad.png",
    ),
    R.IMAGE_WITHOUT_LABEL: ("coco", coco_export() | {"new.png": picture(level=17)}, "new.png"),
}


def line_of(unlabelled: str = "format") -> LineFile:
    text = f"""
    [line]
    name = "odd"
    classes = ["pit", "open"]
    [intake]
    unlabelled = "{unlabelled}"
    """
    return parse_line(text, Path("odd.toml"))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path)


def only(parts: Parts) -> Held:
    (item,) = held(parts, line="odd")
    return item


def entered(parts: Parts, format_name: str, files: Files, *, unlabelled: str = "format") -> dict[str, Sample]:
    done = ingest(parts, line_of(unlabelled), MemorySource(files), format_name)
    return {sample.name: sample for sample in parts.facts.find(Sample, dataset_id=done.id)}


def test_a_person_may_overrule_or_is_told_what_helps_instead_for_every_reason() -> None:
    assert set(RELEASE_MEANS) == set(OVERRULED)
    assert set(RELEASE_MEANS) | set(INSTEAD) == set(R)
    assert not set(RELEASE_MEANS) & set(INSTEAD)


@pytest.mark.parametrize("reason", OVERRULED)
def test_what_is_released_enters_at_the_next_intake_and_makes_a_new_version(
    parts: Parts, reason: QuarantineReason
) -> None:
    format_name, files, path = OVERRULED[reason]
    assert path not in entered(parts, format_name, files)
    assert (only(parts).entry.path, only(parts).entry.reason) == (path, reason)
    decide_on(parts, only(parts), RELEASED, actor="kim", reason="looked at it")
    assert path in entered(parts, format_name, files)
    newest, before = parts.facts.find(DatasetVersion)
    assert (newest.images, newest.quarantined) == (before.images + 1, 0)
    assert [item.state for item in held(parts)] == [RELEASED]


@pytest.mark.parametrize("reason", OVERRULED)
def test_a_release_holds_for_the_bytes_somebody_saw_and_for_nothing_else(
    parts: Parts, reason: QuarantineReason
) -> None:
    format_name, files, path = OVERRULED[reason]
    entered(parts, format_name, files)
    decide_on(parts, only(parts), RELEASED, actor="kim", reason="looked at it")
    suffix = ".jpg" if reason is R.WRONG_SUFFIX else ".png"
    assert path not in entered(parts, format_name, files | {path: picture(suffix=suffix, level=201)})
    decide_on(parts, next(item for item in held(parts) if item.changes), DROPPED, actor="lee", reason="no")
    assert path not in entered(parts, format_name, files)


@pytest.mark.parametrize("reason", sorted(INSTEAD))
def test_what_nobody_can_overrule_is_refused_with_what_helps(parts: Parts, reason: QuarantineReason) -> None:
    entered(parts, "coco", OVERRULED[R.WRONG_SUFFIX][1])
    item = replace(only(parts), entry=replace(only(parts).entry, reason=reason))
    with pytest.raises(QuarantineError, match="cannot be released") as caught:
        decide_on(parts, item, RELEASED, actor="kim", reason="please")
    assert INSTEAD[reason] in str(caught.value)
    assert parts.facts.ledger() == []
    decide_on(parts, item, DROPPED, actor="kim", reason="seen")


def test_decisions_are_added_never_rewritten_and_the_ledger_tells_who_and_why(parts: Parts) -> None:
    entered(parts, "coco", OVERRULED[R.WRONG_SUFFIX][1])
    row = only(parts).entry
    for state, actor in ((DROPPED, "kim"), (RELEASED, "lee"), (DROPPED, "kim")):
        decide_on(parts, only(parts), state, actor=actor, reason=f"{actor} says so")
    assert [(change.step, change.state) for change in only(parts).changes] == [
        (1, DROPPED),
        (2, RELEASED),
        (3, DROPPED),
    ]
    assert only(parts).state is DROPPED
    assert parts.facts.get(Quarantined, row.id) == row
    assert row.digest is not None
    assert parts.files.has(row.digest)
    told = parts.facts.ledger("odd")
    assert [(entry.kind, entry.actor, entry.details["state"]) for entry in told] == [
        (LedgerKind.QUARANTINE, "kim", "dropped"),
        (LedgerKind.QUARANTINE, "lee", "released"),
        (LedgerKind.QUARANTINE, "kim", "dropped"),
    ]
    assert {entry.subject for entry in told} == {row.id}


def test_the_same_decision_twice_and_two_at_once_are_told(parts: Parts) -> None:
    entered(parts, "coco", OVERRULED[R.WRONG_SUFFIX][1])
    before = only(parts)
    decide_on(parts, before, DROPPED, actor="kim", reason="test shot")
    with pytest.raises(QuarantineError, match="dropped before, by kim"):
        decide_on(parts, only(parts), DROPPED, actor="lee", reason="test shot")
    with pytest.raises(QuarantineError, match="same moment"):
        decide_on(parts, before, RELEASED, actor="lee", reason="good")
    assert len(parts.facts.find(QuarantineChange)) == len(parts.facts.ledger()) == 1


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("kim", " ")])
def test_nobody_or_no_reason_decides_nothing(parts: Parts, actor: str, reason: str) -> None:
    entered(parts, "coco", OVERRULED[R.WRONG_SUFFIX][1])
    with pytest.raises(QuarantineError, match="--as"):
        decide_on(parts, only(parts), DROPPED, actor=actor, reason=reason)


def test_an_entry_is_found_by_the_first_digits_of_its_id(parts: Parts) -> None:
    entered(parts, "coco", coco_export() | {f"{n}.png": picture(level=n) for n in range(3)})
    for item in held(parts):
        digits = item.entry.id.removeprefix("quarantine-")[:8]
        assert find_held(parts, digits) == find_held(parts, item.entry.id) == item
    for key in ("", "quarantine-", "zzzz", "0"):
        with pytest.raises(NotFoundError, match="quarantine list"):
            find_held(parts, key)


UNLABELLED: list[tuple[str, Files, str, bool]] = [
    ("coco", coco_export() | {"new.png": picture(level=17)}, "new.png", False),
    ("yolo", yolo_export("") | {"images/new.png": picture(level=17)}, "images/new.png", True),
    ("yolo", yolo_export("") | {"new.png": picture(level=17)}, "new.png", False),
    ("voc", voc_export("<annotation/>") | {"JPEGImages/new.png": picture(level=17)}, "JPEGImages/new.png", False),
    ("deeppcb", pcb_export("") | {"g/n/new_test.jpg": picture(suffix=".jpg")}, "g/n/new_test.jpg", False),
    ("masks", masked_export(picture()) | {"pit/new.jpg": picture(suffix=".jpg")}, "pit/new.jpg", False),
]


@pytest.mark.parametrize(("format_name", "files", "path", "by_format"), UNLABELLED)
def test_the_line_file_says_what_an_image_without_labels_is(
    parts: Parts, format_name: str, files: Files, path: str, by_format: bool
) -> None:
    assert (path in entered(parts, format_name, files)) == by_format
    assert entered(parts, format_name, files, unlabelled="normal")[path].boxes == ()
    assert path not in entered(parts, format_name, files, unlabelled="quarantine")
    assert [item.entry.reason for item in held(parts) if item.entry.path == path] == [R.IMAGE_WITHOUT_LABEL]


@pytest.mark.parametrize(
    ("format_name", "files", "path"),
    [
        ("coco", coco_export() | {"b.json": coco_of("new.png")[:-5], "new.png": picture(level=17)}, "new.png"),
        ("voc", voc_export("<annotation>"), "JPEGImages/bad.png"),
        ("yolo", yolo_export("0 0 0"), "images/bad.png"),
        ("deeppcb", pcb_export("1 2"), "g/n/bad_test.jpg"),
        ("masks", masked_export(b"?"), "pit/bad.jpg"),
    ],
)
def test_an_image_whose_labels_are_damaged_never_counts_as_normal(
    parts: Parts, format_name: str, files: Files, path: str
) -> None:
    assert path not in entered(parts, format_name, files, unlabelled="normal")


def test_another_word_for_unlabelled_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"intake\.unlabelled"):
        line_of("sometimes")
