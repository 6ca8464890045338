"""Which label is which defect class: what a mapping changes, and whose agreement lets a model through."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests import rows
from tests.unit.small_line import line_of, parts_in
from wafergate.cli.taxonomy import tell_effects, tell_standing
from wafergate.domain.gate import LedgerKind
from wafergate.domain.geometry import Box
from wafergate.domain.samples import DatasetVersion, LabelledBox, Sample
from wafergate.domain.taxonomy import Mapping, Signature, Taxonomy, TaxonomyVersion
from wafergate.errors import NotFoundError, TaxonomyError
from wafergate.jobs.parts import Parts
from wafergate.jobs.taxonomy import agreed, confusions, effects, propose, sign

pytestmark = pytest.mark.unit

WHY = "one cause, one cure"
MERGED = Taxonomy(map=(Mapping("scr", "scratch", WHY), Mapping("dust", "particle", WHY)))


def dataset(parts: Parts, *labels: tuple[str, str], signed: bool = False) -> DatasetVersion:
    """Save a version of the line `dies` with one box an image, under (raw label, class)."""
    version = replace(rows.dataset("dies"), taxonomy_signed=signed, number=1)
    samples = [
        replace(rows.sample("dies", place, f"{place:064d}"), boxes=(LabelledBox(raw, name, Box(0, 0, 4, 4)),))
        for place, (raw, name) in enumerate(labels)
    ]
    parts.facts.save(version, samples)
    return version


def consent(parts: Parts, taxonomy: Taxonomy) -> str:
    version = propose(parts, "dies", taxonomy, actor="kim").id
    sign(parts, version, signed_by="Lee", signed_on=date(2026, 2, 1), reference="minutes 7", actor="kim")
    return version


def test_a_signature_entered_after_intake_counts(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    version = dataset(parts, ("scr", "scratch"), ("particle", "particle"))
    assert not agreed(parts, version)
    propose(parts, "dies", MERGED, actor="kim")
    assert not agreed(parts, version)
    consent(parts, MERGED)
    assert agreed(parts, version)


@pytest.mark.parametrize(
    ("labels", "signed"),
    [
        ([("scr", "particle")], False),  # signed to another class
        ([("void", "particle"), ("scr", "scratch")], False),  # one of two is in no signed mapping
        ([("particle", "particle")], True),  # nothing is renamed
        ([], True),
    ],
)
def test_consent_covers_the_renames_it_names_and_no_other(
    tmp_path: Path, labels: list[tuple[str, str]], signed: bool
) -> None:
    parts = parts_in(tmp_path)
    consent(parts, MERGED)
    assert agreed(parts, dataset(parts, *labels)) is signed


def test_what_the_line_file_said_at_intake_holds(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    assert agreed(parts, dataset(parts, ("scr", "scratch"), signed=True))


def test_consent_of_another_line_is_none(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    version = propose(parts, "boards", MERGED, actor="kim").id
    sign(parts, version, signed_by="Lee", signed_on=date(2026, 2, 1), reference="minutes 7", actor="kim")
    assert not agreed(parts, dataset(parts, ("scr", "scratch")))


def test_the_same_proposal_is_the_same_version_and_numbers_count_on(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    first = propose(parts, "dies", MERGED, actor="kim")
    turned = replace(MERGED, map=(*MERGED.map[::-1], Mapping("void", "void")))
    assert propose(parts, "dies", turned, actor="lee") == (first.id, True)
    other = propose(parts, "dies", replace(MERGED, map=MERGED.map[:1]), actor="lee")
    assert [parts.facts.get(TaxonomyVersion, item).number for item in (first.id, other.id)] == [1, 2]


def test_a_signature_stands_in_the_ledger_once(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    version = consent(parts, MERGED)
    consent(parts, MERGED)
    entries = parts.facts.ledger("dies")
    assert [(entry.kind, entry.subject, entry.actor) for entry in entries] == [(LedgerKind.SIGNED, version, "kim")]
    assert "Lee agreed on 2026-02-01" in entries[0].reason
    assert "minutes 7" in entries[0].reason
    assert entries[0].details["map"] == {"scr": "scratch", "dust": "particle"}
    assert len(parts.facts.find(Signature)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signed_by": " "}, "who agreed"),
        ({"reference": ""}, "where it is written"),
        ({"signed_on": date(2999, 1, 1)}, "nobody agreed on 2999-01-01 yet"),
    ],
)
def test_half_a_signature_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    parts = parts_in(tmp_path)
    version = propose(parts, "dies", MERGED, actor="kim").id
    whole = {"signed_by": "Lee", "signed_on": date(2026, 2, 1), "reference": "minutes 7", "actor": "kim"}
    with pytest.raises(TaxonomyError, match=words):
        sign(parts, version, **(whole | change))  # type: ignore[arg-type]
    assert parts.facts.ledger() == []


def test_nothing_to_agree_on_and_nothing_proposed_are_told(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    with pytest.raises(TaxonomyError, match="found none"):
        propose(parts, "dies", Taxonomy(map=(Mapping("void", "void"),)), actor="kim")
    with pytest.raises(NotFoundError):
        sign(parts, "taxonomy-x", signed_by="Lee", signed_on=date(2026, 2, 1), reference="m", actor="kim")


def test_effects_count_boxes_and_images_and_name_what_would_stop_intake(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    version = dataset(parts, ("scr", "scratch"), ("scr", "scratch"), ("void", "scratch"))
    found = effects(parts.facts.find(Sample, dataset_id=version.id), ("scratch", "particle"), MERGED)
    assert [(item.raw, item.boxes, item.images, item.now, item.then) for item in found] == [
        ("scr", 2, 2, "scratch", "scratch"),
        ("void", 1, 1, "scratch", None),
    ]


def test_confusions_are_those_of_the_newest_judged_model_most_first(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    assert confusions(parts, "dies") == []
    parts.facts.save(rows.model("dies", "a"))
    parts.facts.save(replace(rows.evaluation("dies", "a"), confusion=((9, 2, 1), (5, 7, 0), (3, 0, 0))))
    parts.facts.save(rows.model("dies", "b"))
    assert confusions(parts, "dies") == [("particle", "scratch", 5), ("scratch", "particle", 2)]


def test_what_is_printed_fits_80_columns_and_says_who_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, line = parts_in(tmp_path), line_of(signed_by='signed_by = ""')
    dataset(parts, ("particle", "excess"), ("void", "missing"), ("dirt", "missing"))
    tell_effects(parts, line, line.taxonomy)
    tell_standing(parts, line)
    before = capsys.readouterr().out
    assert "none: stops" in " ".join(before.split())
    assert "nobody signed the line file's mapping" in before
    consent(parts, line.taxonomy)
    tell_standing(parts, line)
    after = capsys.readouterr().out
    assert "Lee, 2026-02-01" in after
    assert "the line file's mapping is signed" in after
    assert max(map(len, (before + after).splitlines())) <= 80
