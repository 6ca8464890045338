"""A place that is followed: what comes is inspected once, whole, with its reference and its row."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.die_lots import (
    LINE,
    LOTS,
    Files,
    drawn,
    golden_of,
    lot_of,
    nothing,
    pauses,
    stored,
    whole,
    with_champion,
)
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, parts_in, run_thread
from wafergate.adapters.arrivals import Arrivals, stamp_of_file
from wafergate.adapters.source import FolderSource
from wafergate.domain.identity import digest_bytes
from wafergate.domain.samples import Quarantined
from wafergate.errors import SourceError
from wafergate.jobs.follow import follow
from wafergate.jobs.inspect_lot import Inspected, inspect_lot
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import champion_model, promote
from wafergate.jobs.results import images_of_runs, show_lot, write_coco

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return drawn(tmp_path_factory.mktemp("dies"))


@pytest.fixture(scope="module")
def champion(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Every test inspects a lot of its own."""
    return with_champion(tmp_path_factory.mktemp("line"), files)


def test_what_comes_into_a_folder_is_taken_once_and_only_when_it_is_whole(
    champion: Parts, files: Files, tmp_path: Path
) -> None:
    lot, pictures = lot_of(files, 3)
    names = sorted(name for name in pictures if "_golden" not in name)
    (tmp_path / lot).mkdir()

    def arrive(name: str, share: float = 1.0) -> Callable[[], None]:
        def write() -> None:
            data = pictures[name]
            (tmp_path / name).write_bytes(data[: int(share * len(data))])
            os.utime(tmp_path / name, ns=(next(LOTS) * 10**9, next(LOTS) * 10**9))

        return write

    def pair(name: str) -> None:
        arrive(name)()
        arrive(name.replace(".png", "_golden.png"))()

    rounds: list[Inspected] = []
    look = Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name))
    steps = [
        lambda: pair(names[0]),
        nothing,
        nothing,
        arrive(names[1].replace(".png", "_golden.png")),
        arrive(names[1], 0.3),
        arrive(names[1], 0.6),  # still growing from look to look
        arrive(names[1]),
        arrive(names[2]),  # its golden reference has not come
        nothing,
        nothing,
    ]
    done = follow(champion, line_of(), look, "images", pause=pauses(*steps), told=rounds.append)
    assert done.names == set(names[:2])
    assert (done.new, done.refused) == (2, 0)
    more = follow(
        champion,
        line_of(),
        Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name)),
        "images",
        pause=pauses(arrive(names[2].replace(".png", "_golden.png")), nothing, nothing),
    )
    assert (more.new, more.names) == (1, set(names)), "followed again, only what is new is inspected"


def test_a_new_champion_takes_what_comes_and_leaves_what_came_before_it(files: Files, tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    first = run_thread(parts, line_of(), MemorySource(files)).decision
    _, pictures = lot_of(files, 4)
    names = [name for name in pictures if "_golden" not in name]
    told_lot = {"metadata.csv": ("name,lot\n" + "".join(f"{name},L1\n" for name in names)).encode()}
    came = dict(list(pictures.items())[:4]) | told_lot

    def comes(pictures: Files) -> Inspected:
        return follow(parts, line_of(), lambda: whole(pictures), "images", pause=pauses(nothing, nothing))

    def judges() -> tuple[tuple[int, ...], int]:
        summary = show_lot(parts, line=LINE, lot="L1")
        return summary.models, summary.defective.trials

    promote(parts, first.id, actor="kim", reason="test")
    assert comes(came).new == 2
    second = run_thread(parts, line_of(epochs="epochs = 3"), MemorySource(files)).decision
    promote(parts, second.id, actor="kim", reason="test")
    assert champion_model(parts, LINE).id != parts.inspections.images(line=LINE)[0].model_id
    done = comes(pictures | told_lot)
    assert (done.new, len(done.names), len(done.runs)) == (2, 4, 2)
    assert judges() == ((1, 2), 4)
    asked = inspect_lot(parts, line_of(), MemorySource(pictures | told_lot), "images")
    assert (asked.new, len(asked.names)) == (2, 4), "asked for by name, the new champion looks at the first two as well"
    assert judges() == ((2,), 4)


def test_a_stop_ends_with_what_was_done_and_an_empty_folder_is_no_error(
    champion: Parts, files: Files, tmp_path: Path
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    _, pictures = lot_of(files, 2)
    done = follow(champion, line_of(), lambda: whole(pictures), "images", pause=pauses(nothing, stop, nothing))
    assert done.new == 2
    empty = Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name))
    assert follow(champion, line_of(), empty, "images", pause=pauses(nothing)).names == frozenset()
    broken = {"lot/a.png": b"broken", "lot/a_golden.png": b"broken"}
    with pytest.raises(SourceError, match="the first is"):
        follow(champion, line_of(), lambda: whole(broken), "images", pause=pauses(nothing))


def test_a_replaced_object_is_inspected_and_a_problem_is_told_once(
    champion: Parts, files: Files, tmp_path: Path
) -> None:
    lot, pictures = lot_of(files, 3)
    first, second, third = sorted(name for name in pictures if "_golden" not in name)
    place = {name: pictures[name] for name in (first, first.replace(".png", "_golden.png"))}

    def put(name: str, data: str) -> Callable[[], None]:
        return lambda: place.update(
            {name: pictures[data], name.replace(".png", "_golden.png"): golden_of(pictures, data)}
        )

    rounds: list[Inspected] = []
    done = follow(
        champion,
        line_of(),
        lambda: whole(dict(place), [("../out.png", "it leads outside"), ("/etc/x", "it is absolute")]),
        "images",
        pause=pauses(put(second, second), put(first, third), nothing),
        told=rounds.append,
    )
    assert (done.new, done.refused) == (3, 2)
    assert [item.refused for item in rounds] == [2, 0, 0]
    assert {(image.name, image.image) for image in stored(champion, lot)} == {
        (name, digest_bytes(pictures[data])) for name, data in ((first, first), (first, third), (second, second))
    }
    write_coco(champion, images_of_runs(champion, LINE, done), tmp_path / "found.json")
    shown = json.loads((tmp_path / "found.json").read_text())["images"]
    assert [item["file_name"] for item in shown] == [first, second]


def test_in_a_followed_place_an_image_waits_for_its_row(champion: Parts, files: Files, tmp_path: Path) -> None:
    lot, pictures = lot_of(files, 3)
    names = sorted(name for name in pictures if "_golden" not in name)
    (tmp_path / lot).mkdir()
    table = tmp_path / "metadata.csv"
    table.write_text("name,lot\n")

    def arrive(name: str) -> None:
        for part in (name, name.replace(".png", "_golden.png")):
            (tmp_path / part).write_bytes(pictures[part])

    def tell(name: str) -> None:
        with table.open("a") as file:
            file.write(f"{name},GROWS\n")

    def half() -> None:
        with table.open("a") as file:
            file.write(f"{names[2]},GR")

    rounds: list[Inspected] = []
    steps = [
        lambda: [arrive(name) for name in names],
        lambda: tell(names[0]),
        lambda: tell(names[1]),  # the table grows from look to look, while all images are whole
        half,
    ]
    done = follow(
        champion,
        line_of(),
        Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name)),
        "images",
        pause=pauses(*steps),
        told=rounds.append,
    )
    assert (done.names, done.waiting, done.refused) == (set(names[:2]), 1, 0)
    assert {image.lot for image in stored(champion, lot)} == {"GROWS"}
    assert [(item.new, item.waiting) for item in rounds if item.new] == [(1, 2), (1, 1)], "a table need not stand still"
    asked = inspect_lot(champion, line_of(), FolderSource(tmp_path), "images")
    assert asked.new == 1, "asked for by name, nothing waits"


def test_only_waiting_images_are_no_error(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 2)
    place = pictures | {"metadata.csv": b"name,lot\nlater.png,L1\n"}
    done = follow(champion, line_of(), lambda: whole(place), "images", pause=pauses(nothing))
    assert (done.names, done.new, done.waiting, done.refused) == (frozenset(), 0, 2, 0)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("name,lot\n생산,1\n".encode("cp949"), "not a CSV file in UTF-8"),
        (b"file,lot\na.png,1\n", "needs a column 'name'"),
    ],
)
def test_a_table_that_cannot_be_read_holds_nobody_back_and_is_told(
    champion: Parts, files: Files, table: bytes, why: str
) -> None:
    _, pictures = lot_of(files, 2)
    place = pictures | {"metadata.csv": table}
    done = follow(champion, line_of(), lambda: whole(place), "images", pause=pauses(nothing))
    assert (done.new, done.waiting) == (2, 0)
    (((path, _), detail),) = done.aside.items()
    assert path == "metadata.csv"
    assert why in detail


def test_what_a_round_sets_aside_is_counted_though_it_inspects_nothing(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 1)
    (waits,) = (name for name in pictures if "_golden" not in name)
    lot = waits.split("/")[0]
    broken = {f"{lot}/x.png": b"broken", f"{lot}/x_golden.png": b"broken"}
    place = pictures | broken | {"metadata.csv": f"name,lot\n{lot}/x.png,L1\n".encode()}
    rounds: list[Inspected] = []
    done = follow(champion, line_of(), lambda: whole(place), "images", pause=pauses(nothing), told=rounds.append)
    assert (done.new, done.waiting, {path for path, _ in done.aside}) == (0, 1, set(broken))
    assert sum(item.refused for item in rounds) == 2


def test_a_table_that_grows_is_read_up_to_its_last_whole_row(tmp_path: Path) -> None:
    table = tmp_path / "metadata.csv"
    look = Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name))
    for data, seen in [
        (b"name,l", b""),
        (b"name,lot\na.png,L", b"name,lot\n"),
        (b'name,lot\na.png,L1\nb.png,"two\n', b"name,lot\na.png,L1\n"),
        (b'name,lot\na.png,L1\nb.png,"two\nlines"\nc', b'name,lot\na.png,L1\nb.png,"two\nlines"\n'),
        (b'name,lot\na.png,6" ring\nb.png,"a ""b"" c"\r\nc', b'name,lot\na.png,6" ring\nb.png,"a ""b"" c"\r\n'),
    ]:
        table.write_bytes(data)
        place = look()
        assert (place.read("metadata.csv"), place.open("metadata.csv").read()) == (seen, seen)
    assert look().read("metadata.csv") == data, "nobody writes any more"


def test_what_is_wrong_with_a_table_that_grows_is_set_aside_once_it_stands_still(
    champion: Parts, files: Files, tmp_path: Path
) -> None:
    lot, pictures = lot_of(files, 3)
    names = sorted(name for name in pictures if "_golden" not in name)
    (tmp_path / lot).mkdir()
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    table = tmp_path / "metadata.csv"
    table.write_text(f"name,lot\n{names[0]},A\n{names[0]},again\n")

    def grow() -> None:
        with table.open("a") as file:
            file.write(f"{names[1]},B\n")

    def noted() -> int:
        found = champion.facts.find(Quarantined, line="dies", path="metadata.csv")
        return sum("row 3 names" in item.detail for item in found)

    before = noted()
    counts: list[int] = []
    look = Arrivals(lambda: FolderSource(tmp_path), lambda name: stamp_of_file(tmp_path, name))
    steps = [grow, grow, grow, lambda: counts.append(noted()), nothing]
    done = follow(champion, line_of(), look, "images", pause=pauses(*steps))
    assert counts == [before]
    assert noted() == before + 1
    assert [path for path, _ in done.aside] == ["metadata.csv"]
