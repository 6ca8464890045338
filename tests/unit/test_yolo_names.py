"""Which class a number of YOLO means: as its files say, and a stop where they leave it open."""

import pytest

from tests.unit.exports import Files
from tests.unit.memory_source import MemorySource, picture
from wafergate.errors import SourceError
from wafergate.formats import READERS, ReadOptions

pytestmark = pytest.mark.unit

LINE = ReadOptions(classes=("dent", "burr"))  # what must never stand in for names of the source


def label_of(files: dict[str, str | bytes], number: int = 1) -> str:
    export: Files = {"images/a.png": picture(), "labels/a.txt": f"{number} .5 .5 .1 .1", **files}
    (sample,) = READERS["yolo"](MemorySource(export), LINE).samples
    return sample.boxes[0].label


@pytest.mark.parametrize(
    "files",
    [
        {"data.yaml": 'names: {"0": scratch, "1": stain}'},
        {"Data.YAML": "names: [scratch, stain]", "coco.yaml": "names: [cat, dog]"},
        {"Classes.txt": "scratch\nstain\n\n \n"},
        {"defects.names": "scratch\r\nstain\r\n"},
        {"A/classes.txt": "scratch\nstain", "B/classes.txt": "scratch\nstain\n"},
        {"data.yaml": "train: images", "classes.txt": "scratch\nstain"},
    ],
    ids=" ".join,
)
def test_names_of_the_source_count_however_they_are_written(files: Files) -> None:
    assert label_of(files) == "stain"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"data.yaml": "names: scratch, stain"}, "'scratch, stain'"),
        ({"data.yaml": "names: {a: scratch, b: stain}"}, "names: "),
        ({"data.yaml": 'names: {0: scratch, 1: stain, "1": burr}'}, "names: "),
        ({"data.yaml": "names: [scratch, , stain]"}, "not YAML"),
        ({"data.yaml": "names: [scratch, null, stain]"}, "None"),
        ({"data.yaml": "names:"}, "None"),
        ({"data.yaml": "names:\n\t- scratch\n\t- stain"}, "not YAML"),
        ({"dataset.yml": "names: [scratch, stain] # für".encode("cp1252")}, "not YAML"),
        ({"data.yaml": "train: images"}, "data.yaml"),
        ({"x.yaml": "a: ["}, "x.yaml"),
        ({"x.yaml": "a: !!bool ten"}, "x.yaml"),
        ({"x.yaml": "names: scratch"}, "'scratch'"),
        ({"A/classes.txt": "scratch\nstain", "B/classes.txt": "stain\nscratch"}, "B/classes.txt has stain, scratch"),
        ({"a/data.yaml": "names: [scratch, stain]", "b/data.yaml": "names: [stain]"}, "b/data.yaml has stain"),
        ({"classes.txt": "scratch\n\nburr\nstain"}, "line 2 of classes.txt is empty"),
        ({"classes.txt": "für\nstain".encode("cp1252")}, "UTF-8"),
    ],
)  # fmt: skip
def test_names_that_leave_a_class_open_stop_the_reader(files: Files, says: str) -> None:
    with pytest.raises(SourceError, match="YOLO needs") as caught:
        label_of(files)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_classes_of_the_line_count_where_no_file_names_any() -> None:
    assert label_of({}) == "burr"
    assert label_of({"compose.yaml": "services: {}"}) == "burr"
