"""What is written out reads back the same, in every format; what a format cannot say stands beside it."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports import Files, coco_export, coco_of, masked_export, pcb_export, voc_export, yolo_export
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import parts_in
from wafergate.adapters.source import open_source
from wafergate.domain.geometry import Box
from wafergate.domain.samples import DatasetVersion, ImageRecord, LabelledBox, Part, Sample
from wafergate.errors import ConfigError, NotFoundError, SourceError
from wafergate.jobs.export import Exported, export
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.versions import named_version
from wafergate.line import parse_line

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINE = parse_line(
    '[line]\nname = "x"\nclasses = ["pit", "open", "short"]\n[intake]\nmask_min_area = 1\n'
    '[taxonomy]\nmap = [{ raw = "hole", defect_class = "pit", rationale = "an older name" }]',
    Path("x.toml"),
)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path / "store")


def stored(parts: Parts, samples: Sequence[Sample], *, row_id: str = "data-1") -> DatasetVersion:
    """Store a version of samples whose images are grey pictures."""
    counts = {"pit": 0}
    version = DatasetVersion(row_id, "x", 0, "here", "coco", len(samples), 0, counts, counts, 0, True, "MIT", NOW)
    parts.facts.save(version, samples)
    return parts.facts.get(DatasetVersion, row_id)


def sample(
    parts: Parts, name: str, boxes: Sequence[LabelledBox] = (), *, reference: str | None = None, **told: str
) -> Sample:
    position = len(parts.facts.find(ImageRecord))
    image = parts.files.put(picture(40, 30, level=position % 200))
    return Sample("data-1", position, name, image, reference, 40, 30, tuple(boxes), told)


def written(parts: Parts, version: DatasetVersion, format_name: str, folder: Path, **options: str) -> Exported:
    return export(parts, version, format_name, folder, reopen=open_source, **options)  # type: ignore[arg-type]


def not_kept(done: Exported) -> list[dict[str, str]]:
    file = done.folder / "not_kept.csv"
    assert file.exists() == bool(done.not_kept)
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(keepends=True))) if done.not_kept else []


SOURCES: dict[str, Files] = {
    "coco": coco_export()
    | {"b.json": coco_of("deep/new.png"), "deep/new.png": picture(level=44), "gold.png": picture(level=3)}
    | {"metadata.csv": 'name,lot,note,reference\ngood.png,L1,"a, ""b""\nc",gold.png\nbad.png,L2,,gold.png\n'},
    "yolo": yolo_export("0 .5 .5 .2 .2\n0 .1 .1 .3 .1 .2 .4\n"),
    "voc": voc_export("<annotation/>"),
    "deeppcb": pcb_export("1.25 2 30.5 20 2\n")
    | {"g/n/good_temp.jpg": picture(suffix=".jpg", level=8), "g/n/bad_temp.jpg": picture(suffix=".jpg", level=9)},
    "masks": masked_export(picture(level=255)),
}


@pytest.mark.parametrize("first", SOURCES)
@pytest.mark.parametrize("then", ["coco", "yolo", "voc", "same"])
def test_taken_in_written_out_and_taken_in_again_is_the_same_version(
    parts: Parts, tmp_path: Path, first: str, then: str
) -> None:
    format_name = first if then == "same" else then
    one = ingest(parts, LINE, MemorySource(SOURCES[first]), first)
    done = written(parts, parts.facts.get(DatasetVersion, one.id), format_name, tmp_path / "out")
    two = ingest(parts, LINE, open_source(tmp_path / "out"), format_name)
    before, after = (parts.facts.find(Sample, dataset_id=row.id) for row in (one, two))
    assert [(s.name, s.image, s.reference, s.classes, s.metadata) for s in before] == [
        (s.name, s.image, s.reference, s.classes, s.metadata) for s in after
    ]
    for old, new in zip(before, after, strict=True):
        for box, back in zip(old.boxes, new.boxes, strict=True):
            assert back.box.as_tuple() == pytest.approx(box.box.as_tuple(), abs=1e-5)
            assert back.raw_label == box.raw_label
    assert done.images == len(after)
    if format_name == "coco":
        assert two == Outcome(one.id, reused=True)


numbers = st.floats(-5, 45).map(lambda value: round(value, 4))
outlines = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(tuple)
labels = st.sampled_from(["pit", "hole", "open"])


@st.composite
def drawn(draw: st.DrawFn) -> LabelledBox:
    outline = draw(st.just(()) | outlines)
    xs, ys = zip(*outline, strict=True) if outline and draw(st.booleans()) else ((), ())
    box = Box(min(xs), min(ys), max(xs), max(ys)) if xs else Box(*(draw(numbers) for _ in range(4)))
    label = draw(labels)
    return LabelledBox(label, "pit" if label == "hole" else label, box, outline)


@pytest.mark.parametrize("format_name", ["coco", "yolo", "voc"])
@given(
    st.lists(st.lists(drawn(), max_size=4), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["lot", "captured_at"]), st.text("aé한,\"' ", min_size=1, max_size=5), max_size=2),
)
@settings(max_examples=25, deadline=None)
def test_boxes_labels_and_metadata_come_back_and_a_lost_outline_is_written_down(
    tmp_path_factory: pytest.TempPathFactory, format_name: str, found: list[list[LabelledBox]], told: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("out")
    parts = parts_in(folder)
    told = {key: value for key, value in told.items() if value.strip() == value}
    samples = [
        Sample(
            "data-1",
            place,
            f"images/{place}.png",
            parts.files.put(picture(level=place)),
            None,
            40,
            30,
            tuple(boxes),
            told,
        )
        for place, boxes in enumerate(found)
    ]
    done = written(parts, stored(parts, samples), format_name, folder / "out")
    again = ingest(parts, LINE, open_source(folder / "out"), format_name)
    lost = {(row["image"], int(row["box"])) for row in not_kept(done)}
    for old, new in zip(samples, parts.facts.find(Sample, dataset_id=again.id), strict=True):
        assert dict(new.metadata) == told
        assert [box.raw_label for box in new.boxes] == [box.raw_label for box in old.boxes]
        for number, (box, back) in enumerate(zip(old.boxes, new.boxes, strict=True), start=1):
            assert back.box.as_tuple() == pytest.approx(box.box.as_tuple(), abs=1e-5)
            kept = len(back.polygon) == len(box.polygon)
            assert kept != ((old.name, number) in lost)
    assert format_name == "yolo" or not lost


def test_what_a_format_cannot_say_stands_beside_it_with_its_value(parts: Parts, tmp_path: Path) -> None:
    outline = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))
    box = LabelledBox("hole", "pit", Box(0, 0, 10, 10), outline)
    tile = Sample("data-1", 0, "t.png", parts.files.put(picture()), None, 40, 30, (box,), {}, Part("whole.png", "ab" * 32, Box(0, 0, 40, 30)))  # noqa: E501 # fmt: skip
    version = stored(parts, [tile])
    done = written(parts, version, "yolo", tmp_path / "out", labels="class")
    assert {(row["image"], row["box"], row["what"], row["value"]) for row in not_kept(done)} == {
        ("t.png", "", "cut from", f"whole.png {'ab' * 32} 0 0 40 30"),
        ("t.png", "1", "outline", "1 1 9 1 9 9"),
        ("t.png", "1", "raw label", "hole"),
    }
    assert json.loads((tmp_path / "out" / "dataset_version.json").read_text())["licence"] == "MIT"


REFUSED = [
    ("deeppcb", LabelledBox("pit", "pit", Box(1, 1, 5, 5)), "DeepPCB needs names ending in _test"),
    ("masks", LabelledBox("pit", "pit", Box(1, 1, 5, 5)), "masks take the class from the folder"),
    ("png", LabelledBox("pit", "pit", Box(1, 1, 5, 5)), "--format must be one of coco, deeppcb"),
]


@pytest.mark.parametrize(("format_name", "box", "says"), REFUSED)
def test_a_version_a_format_cannot_hold_is_refused_and_leaves_nothing(
    parts: Parts, tmp_path: Path, format_name: str, box: LabelledBox, says: str
) -> None:
    version = stored(parts, [sample(parts, "a.png", [box])])
    with pytest.raises((SourceError, ConfigError), match=says):
        written(parts, version, format_name, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_that_holds_something_stays_as_it_is(parts: Parts, tmp_path: Path) -> None:
    version = stored(parts, [sample(parts, "a.png")])
    (tmp_path / "out").mkdir()
    written(parts, version, "coco", tmp_path / "out")
    before = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    with pytest.raises(ConfigError, match="stays as it is"):
        written(parts, version, "coco", tmp_path / "out")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="stays as it is"):
        written(parts, version, "coco", tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot be written"):
        written(parts, version, "coco", tmp_path / "file" / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == before


@pytest.mark.parametrize("place", [".", "../here", "there/.."])
def test_an_empty_folder_is_filled_while_one_stands_in_it(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    version = stored(parts, [sample(parts, "a.png")])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    written(parts, version, "coco", Path(place))
    assert {path.name for path in Path().iterdir()} == {"a.png", "annotations.json", "dataset_version.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "store"]


def test_a_version_is_named_by_number_or_id_and_several_lines_ask_for_one(parts: Parts) -> None:
    first = stored(parts, [])
    assert named_version(parts.facts, "1") == named_version(parts.facts, "data-1") == first
    other = DatasetVersion("data-2", "y", 0, "", "coco", 0, 0, {}, {}, 0, True, "MIT", NOW)
    parts.facts.save(other)
    assert named_version(parts.facts, "1", "y").id == named_version(parts.facts, "data-2").id == "data-2"
    with pytest.raises(ConfigError, match="must be one of x, y"):
        named_version(parts.facts, "1")
    for named, line in (("7", "x"), ("data-9", ""), ("1", "z")):
        with pytest.raises(NotFoundError):
            named_version(parts.facts, named, line)
