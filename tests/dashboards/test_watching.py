"""Lots and Runs: what the pages arrange is what is stored, in both languages, and nothing data could slip in."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from hypothesis import given, settings
from hypothesis import strategies as hy
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboards.drift_charts import class_mix, defect_shares, feature_course, mix_over_time, stations_over_time
from dashboards.drift_tables import drift_data, golden_data, golden_table, slice_data, slice_table
from dashboards.lot_charts import by_day, found_by_class, sum_days
from dashboards.lot_tables import day_data, image_data, lot_data, lot_table, spell_found
from dashboards.reading import lots as reading
from dashboards.reading.lots import MOST_DAYS, MOST_IMAGES, Seen, load_days, load_images, load_lots
from dashboards.reading.runs import ALERTS, load_known, load_runs
from dashboards.run_tables import planned_table, run_data, run_table, spell_duration
from dashboards.texts import HERE, Text, literal
from tests.dashboards.browser import PATIENCE_S
from tests.dashboards.drawn import read_chart, signs
from tests.dashboards.inspected import open_inspections
from tests.dashboards.markdown_tables import tables_of
from tests.dashboards.runs import open_runs
from tests.dashboards.stories import HOSTILE, open_story
from wafergate.adapters.memory import MemoryFacts, MemoryInspections
from wafergate.domain.drift import Advice, DriftCause, DriftReport, DriftSlice, DriftVerdict
from wafergate.domain.golden import DifferenceKind, GoldenDifference, GoldenPolicy, GoldenRun
from wafergate.domain.inspection import InspectedImage, InspectionDay, InspectionRun
from wafergate.domain.runs import RunOfFlow
from wafergate.formats.annotate import annotated_jpeg

pytestmark = pytest.mark.unit
APP = Path(__file__).parent / "story_app.py"
TEXT = Text("en")
NOW = datetime(2026, 3, 9, 6, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def _image(lot: str, at: datetime, place: int, *, station: str = "", found: str = "") -> InspectedImage:
    boxes = ((found, 0.9, 1.0, 2.0, 8.0, 9.0),) if found else ()
    return InspectedImage(
        run_id="run",
        position=place,
        line="a",
        model_id="m",
        name=f"{place}.png",
        image="0" * 64,
        captured_at=at,
        lot=lot,
        station=station,
        detections=boxes,
    )


def _stored(*images: InspectedImage) -> MemoryInspections:
    store = MemoryInspections(MemoryFacts(clock=lambda: NOW))
    store.save(InspectionRun("run", "a", "m", "folder", len(images), 0, {}, 0, NOW), images)
    return store


# lots


def test_a_lot_is_shown_with_its_model_counts_and_what_was_found() -> None:
    found = [_image("L1", NOW, 0, found="void"), _image("L1", NOW, 1, found="void"), _image("L1", NOW, 2)]
    (row,) = lot_table(load_lots(_stored(*found), "a"), {"m": "net v1"}, lambda lot: f"?lot={lot}", TEXT).to_dict(
        "records"
    )
    assert list(row.values()) == [
        "[L1](?lot=L1)",
        literal("net v1"),
        literal("2026-03-09 06:30 UTC"),
        "3",
        "2 (66.7%)",
        "void 2",
    ]


def test_a_korean_date_in_a_cell_is_no_numbered_list() -> None:
    text = Text("ko")
    shown = lot_table(load_lots(_stored(_image("L1", NOW, 0)), "a"), {}, str, text)
    assert shown[text.plain("captured")][0].startswith(r"2026\. 03\. 09\.")


def test_a_day_holds_what_was_captured_on_it_and_a_lot_what_belongs_to_it() -> None:
    store = _stored(
        _image("L1", NOW.replace(hour=0, minute=0), 0),
        _image("L1", NOW.replace(hour=23, minute=59), 1),
        _image("L2", NOW - timedelta(days=1), 2),
    )
    assert {image.position for image in _seen(store, day=NOW.date()).images} == {0, 1}
    assert {image.position for image in _seen(store, "L2").images} == {2}
    assert {image.position for image in _seen(store, "L1", day=NOW.date()).images} == {0, 1}
    assert _seen(store, "L2", day=NOW.date()).images == ()


def _seen(store: MemoryInspections, lot: str = "", day: date | None = None, station: str | None = None) -> Seen:
    return load_images(store, "a", lot, day, station)


def test_what_lies_beyond_the_newest_images_is_found_and_the_cut_is_told() -> None:
    first = NOW.replace(hour=0, minute=0)
    many = [_image("L1", NOW + timedelta(seconds=place), place, station="A") for place in range(MOST_IMAGES)]
    store = _stored(*many, _image("L1", first, MOST_IMAGES, station="B", found="void"))
    whole = _seen(store, "L1")
    assert (len(whole.images), whole.cut) == (MOST_IMAGES, True)
    assert [image.position for image in whole.defective] == [MOST_IMAGES]
    for at_b in (_seen(store, day=NOW.date(), station="B"), _seen(store, "L1", station="B")):
        assert [image.position for image in at_b.images] == [MOST_IMAGES]
        assert not at_b.cut
    assert not _seen(store, "L1", station="A").cut


def test_an_image_that_two_champions_saw_is_told_once_as_the_newer_run_saw_it() -> None:
    store = _stored(_image("L1", NOW, 0, found="void"), _image("L1", NOW, 1), _image("L1", NOW, 2, found="void"))
    again = [replace(_image("L1", NOW, place), run_id="again", model_id="n") for place in (0, 1)]
    other = replace(_image("L1", NOW, 2, found="void"), run_id="again", model_id="n", image="1" * 64)
    run = InspectionRun("again", "a", "n", "folder", 3, 1, {}, 0, NOW + timedelta(hours=1))
    store.save(run, [*again, other])
    seen = _seen(store, "L1")
    assert sorted((image.position, image.model_id) for image in seen.images) == [(0, "n"), (1, "n"), (2, "m"), (2, "n")]
    assert [image.position for image in seen.defective] == [2, 2]


def _twice(images: int, *, oldest_defective: int) -> MemoryInspections:
    """Return a lot whose oldest images show a defect to the old champion; the new one finds none on any."""
    old = [
        _image("L1", NOW - timedelta(seconds=place), place, found="void" if images - place <= oldest_defective else "")
        for place in range(images)
    ]
    store = _stored(*old)
    run = InspectionRun("again", "a", "n", "folder", images, 0, {}, 0, NOW + timedelta(hours=1))
    store.save(run, [replace(image, run_id="again", model_id="n", detections=()) for image in old])
    return store


def test_a_defect_that_only_an_older_run_saw_is_not_told_however_many_images_a_lot_has() -> None:
    seen = _seen(_twice(MOST_IMAGES + 200, oldest_defective=300), "L1")
    assert (len(seen.images), seen.cut) == (MOST_IMAGES, True)
    assert {image.model_id for image in seen.images} == {"n"}
    assert (seen.defective, seen.defective_cut) == ((), False)


def test_images_that_were_inspected_twice_are_not_more_than_are_shown() -> None:
    seen = _seen(_twice(MOST_IMAGES * 3 // 5, oldest_defective=10), "L1")
    assert (len(seen.images), seen.cut, seen.defective) == (MOST_IMAGES * 3 // 5, False, ())


def test_more_images_with_a_defect_than_are_read_are_told_as_such() -> None:
    many = [_image("L1", NOW + timedelta(seconds=place), place, found="void") for place in range(MOST_IMAGES + 5)]
    seen = _seen(_stored(*many), "L1")
    assert (len(seen.defective), seen.defective_cut) == (MOST_IMAGES, True)
    whole = _seen(_stored(*many[:MOST_IMAGES], _image("L1", NOW, MOST_IMAGES)), "L1")
    assert (len(whole.defective), whole.cut, whole.defective_cut) == (MOST_IMAGES, True, False)


def test_days_are_those_with_inspections_and_no_more_than_are_drawn() -> None:
    images = [_image("L", NOW - timedelta(days=2 * place), place) for place in range(MOST_DAYS + 5)]
    days = load_days(_stored(*images), "a", NOW.date())
    assert [row.day for row in days] == sorted(row.day for row in days)
    assert len({row.day for row in days}) == MOST_DAYS


def test_the_sums_of_a_day_are_over_models_and_stations() -> None:
    day = NOW.date()
    rows = [
        InspectionDay("a", day, "m1", "s1", "", 10, 1, {"void": 1}),
        InspectionDay("a", day, "m2", "s2", "", 30, 3, {"void": 2}),
    ]
    assert sum_days(rows) == {day: (40, 4)}
    share, images = read_chart(by_day(rows, TEXT))
    assert [mark.y for mark in share.marks()] == pytest.approx([0.1], abs=1e-3)
    assert [bar[3] - bar[1] for bar in images.boxes("bar")] == pytest.approx([-40], abs=0.1)
    assert list(day_data(rows)["found void"]) == [1, 2]


def test_classes_are_drawn_by_their_counts_and_named_to_the_letter() -> None:
    (plot,) = read_chart(found_by_class({"<b>x</b>": 2, "void": 7}, TEXT))
    assert [name for _, name in plot.rows] == ["void", "<b>x</b>"]
    assert [bar[2] for bar in plot.boxes("bar")] == pytest.approx([7, 2], abs=0.01)
    assert spell_found({}, TEXT) == "nothing"


def test_tables_for_download_hold_every_stored_value() -> None:
    store = _stored(_image("L1", NOW, 0, station="s", found="void"), _image("L1", NOW, 1))
    table = image_data(_seen(store, "L1").images)
    assert list(table["classes"]) == ["void", ""]
    assert list(lot_data(load_lots(store, "a"))["found void"]) == [1]
    assert list(image_data([]).columns) == list(table.columns)


# pictures


@settings(deadline=None)  # the first picture loads the drawing library
@given(hy.integers(1, 900), hy.integers(1, 900))
def test_a_picture_keeps_its_shape_within_bounds(height: int, width: int) -> None:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    with Image.open(BytesIO(annotated_jpeg(pixels, [("한글", 0.5, -5.0, -5.0, width + 9.0, height + 9.0)]))) as drawn:
        longest = max(drawn.size)
        assert 320 <= longest <= 640
        ratio = longest / max(height, width)
        assert drawn.size == (max(1, round(width * ratio)), max(1, round(height * ratio)))


def test_the_box_lies_around_what_was_found() -> None:
    pixels = np.full((320, 320, 3), 255, dtype=np.uint8)
    drawn = np.asarray(
        Image.open(BytesIO(annotated_jpeg(pixels, [("a", 0.5, 100.0, 150.0, 140.0, 190.0)]))).convert("L")
    )
    assert drawn[155:185, 105:135].min() > 240
    assert drawn[170, 97:100].mean() < 140
    assert drawn[170, 60] > 240


# runs


def test_the_dispatcher_of_alerts_is_shown_only_when_chosen() -> None:
    board = load_runs(open_runs("covered"), "die-a", "", ())
    assert ALERTS in board.flows
    assert ALERTS not in {run.flow for run in board.runs}
    assert {run.flow for run in load_runs(open_runs("covered"), "die-a", ALERTS, ()).runs} == {ALERTS}


def test_runs_of_persons_are_known_by_the_lines_own_rows() -> None:
    assert load_known(open_story("covered"), "die-a") == ()


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (0.0, "0.0 s"),
        (4.24, "4.2 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.0, "59 min 59 s"),
        (7260.0, "2 h 1 min"),
    ],
)
def test_a_duration_is_told_in_two_units(seconds: float, spelled: str) -> None:
    assert spell_duration(seconds, TEXT) == spelled


def test_a_state_with_a_name_of_its_own_is_told_by_it() -> None:
    board = load_runs(open_runs("covered"), "die-a", "", ())
    states = run_table(board.runs, TEXT)[TEXT.plain("state_label")]
    assert states[0].endswith("Awaiting approval]")
    assert "Completed" in states[1]
    odd = RunOfFlow("r", "f", "n", "Odd [x](http://evil)", "COMPLETED", HOSTILE, NOW, None, 0.0, "http://p/1")
    row = run_table([odd], TEXT).to_dict("records")[0]
    assert literal("Odd [x](http://evil)") in row[TEXT.plain("state_label")]
    assert row[TEXT.plain("duration")] == "–"
    assert list(run_data([odd])["message"]) == [HOSTILE]


def test_a_paused_schedule_says_so() -> None:
    shown = planned_table(load_runs(open_runs("covered"), "die-a", "", ()).planned, TEXT)
    assert [TEXT.plain("paused") in cell for cell in shown[TEXT.plain("schedule")]] == [False, True, False]


# pages


def test_a_lot_in_the_address_is_opened_with_its_pictures() -> None:
    page = _page("lots", "covered", lot="L2139", lang="en")
    defective = [image for image in open_inspections("covered").images(line="die-a", lot="L2139") if image.detections]
    assert page.subheader[0].value == TEXT.say("pictures_lot", lot="L2139")
    told = "\n".join(caption.value for caption in page.caption)
    assert defective
    assert all(literal(Path(image.name).name) in told for image in defective)
    assert {literal(image.name) for image in defective} <= {caption.help for caption in page.caption}
    assert "cannot be read" not in told


def test_a_day_in_the_address_shows_the_pictures_of_that_day() -> None:
    day = open_inspections("covered").images(line="die-a", lot="L2139")[0].captured_at.date()
    page = _page("lots", "covered", day=day.isoformat(), lang="en")
    assert page.subheader[0].value == TEXT.say("pictures_day", day=day)
    assert page.selectbox(key="ask-day").value == day.isoformat()


def test_a_station_in_the_address_narrows_the_day_to_it() -> None:
    store = open_inspections("covered")
    day = store.images(line="die-a", lot="L2139")[0].captured_at.date()
    found = [image for image in store.images(line="die-a", station="AOI-2") if image.captured_at.date() == day]
    page = _page("lots", "covered", day=day.isoformat(), station=".AOI-2", lang="en")
    assert (
        page.subheader[0].value
        == f"{TEXT.say('pictures_day', day=day)}, {TEXT.say('pictures_station', station='AOI-2')}"
    )
    assert any(f"of {len(found)} images" in text.value for text in page.markdown)


def test_a_day_in_the_address_that_is_not_listed_is_looked_up_and_what_is_no_day_is_said() -> None:
    page = _page("lots", "covered", day="2020-01-01", station=".gone", lang="en")
    assert page.subheader[0].value.startswith(TEXT.say("pictures_day", day=TEXT.day(date(2020, 1, 1))))
    assert [item.value for item in page.info] == [TEXT.say("nothing_there")]
    page = _page("lots", "covered", day="soon", lang="en")
    assert [item.value for item in page.info] == [TEXT.say("not_in_address", name="day", asked="soon")]


def test_as_many_pictures_are_shown_as_the_address_asks_for() -> None:
    store = open_inspections("covered")
    lots = {lot.lot: lot.defective for lot in store.lots("die-a", 100)}
    lot = max(lots, key=lambda name: lots[name])
    assert lots[lot] > 2
    page = _page("lots", "covered", lot=lot, pictures="2", lang="en")
    counts = {"shown": TEXT.count(2), "defective": TEXT.count(lots[lot])}
    assert TEXT.say("pictures_note", **counts) in [caption.value for caption in page.caption]
    page.button[0].click().run()
    assert page.query_params["pictures"] != ["2"]


def test_a_chart_of_some_of_the_images_with_a_defect_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lots = {lot.lot: lot.defective for lot in open_inspections("covered").lots("die-a", 100)}
    lot = max(lots, key=lambda name: lots[name])
    for most, cut in ((2, True), (lots[lot], False)):
        monkeypatch.setattr(reading, "MOST_IMAGES", most)
        st.cache_data.clear()
        page = _page("lots", "covered", lot=lot, lang="en")
        told = [caption.value for caption in page.caption]
        assert (TEXT.say("lot_classes_cut", images=TEXT.count(most)) in told) is cut
        count = literal(f"{most}{'+' if cut else ''}")
        assert any(f"{count} with a defect" in text.value for text in page.markdown)


def test_a_flow_in_the_address_is_the_only_one_shown() -> None:
    page = _page("runs", "covered", flow="watch", lang="en")
    told = open_runs("covered").runs("die-a", flows=("watch",), limit=100)
    assert len(tables_of(page)[0]) == len(told) == 1
    assert page.selectbox[0].value == "watch"


def test_a_day_in_the_address_is_the_last_of_the_week() -> None:
    page = _page("weekly", "covered", until="2026-03-11", lang="en")
    assert page.date_input[0].value.isoformat() == "2026-03-11"
    assert any(literal("2026-03-05") in caption.value for caption in page.caption)


def test_the_class_names_found_on_a_day_stay_text() -> None:
    page = _page("lots", "hostile", lang="en")
    cells = [str(cell) for table in tables_of(page) for cell in table.get(TEXT.plain("found_label"), [])]
    assert any(cell.startswith(literal(HOSTILE)) for cell in cells)
    assert not [name for table in tables_of(page) for name in table.columns if HOSTILE in str(name)]


def test_without_prefect_one_sentence_stands_instead_of_runs() -> None:
    page = _page("runs", "few_images", lang="en")
    assert [error.value for error in page.error] == [TEXT.say("no_prefect")]


def test_no_sentence_stands_in_two_files() -> None:
    keys = [key for file in [HERE / "phrases.toml", *(HERE / "phrases").glob("*.toml")] for key in _keys(file)]
    assert sorted(set(keys)) == sorted(keys)


def _keys(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").partition("[ko]")[0].splitlines()
    return [line.split(" = ")[0] for line in lines if " = " in line and not line.startswith("#")]


def _page(path: str, story: str, **asked: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=PATIENCE_S)
    for key, value in {"story": story, "first": path, **asked}.items():
        app.query_params[key] = value
    return app.run()


# drift


def test_the_mix_of_a_day_adds_up_to_one_and_a_day_without_defects_has_none() -> None:
    days = [NOW.date() - timedelta(days=back) for back in range(3)]
    rows = [
        InspectionDay("a", days[0], "m", "s1", "", 10, 2, {"void": 1, "bridge": 2}),
        InspectionDay("a", days[0], "m", "s2", "", 10, 1, {"void": 3}),
        InspectionDay("a", days[1], "m", "s1", "", 10, 0, {}),
        InspectionDay("a", days[2], "m", "s1", "", 10, 1, {"bridge": 1}),
    ]
    assert class_mix(rows) == {"void": {days[2]: 0.0, days[0]: 4 / 6}, "bridge": {days[2]: 1.0, days[0]: 2 / 6}}
    assert defect_shares(rows)["s1"] == {days[2]: 0.1, days[1]: 0.0, days[0]: 0.2}
    chart = stations_over_time(rows, TEXT)
    assert list(signs(chart)) == ["s1", "s2"]
    (plot,) = read_chart(chart)
    (_, first), _ = plot.courses()
    assert first == [pytest.approx(point, abs=2e-3) for point in ((0, 0.1), (1, 0.0), (2, 0.2))]


def test_of_many_classes_the_rare_ones_are_drawn_as_one() -> None:
    counted = {f"c{place}": 100 - place for place in range(9)}
    chart = mix_over_time([InspectionDay("a", NOW.date(), "m", "", "", 9, 9, counted)], TEXT)
    named, marks = signs(chart), read_chart(chart)[0].marks()
    assert len(named) == len(marks) == 6
    assert list(named)[-1] == marks[-1].name == TEXT.plain("other_classes")
    assert sum(mark.y for mark in marks) == pytest.approx(1, abs=5e-3)
    assert len({mark.style for mark in marks}) == len({*named.values()}) == len(marks)


def test_the_course_marks_what_has_drifted_and_leaves_out_what_was_not_measured() -> None:
    (report,) = open_story("drifted").find(DriftReport, line="die-a")
    empty = replace(report, id="drift-0", features=())
    chart = feature_course([report, empty], TEXT)
    (plot,) = read_chart(chart)
    names = [name for _, name in plot.rows]
    told = {names[round((top + foot) / 2)]: words for _, top, _, foot, words in plot.boxes("heat")}
    assert told == {
        TEXT.feature(item.feature): "\n".join(
            [TEXT.feature(item.feature), TEXT.when(report.created_at), f"{item.distance / item.threshold:.2f}"]
        )
        for item in report.features
    }
    assert {names[round(y)] for y in plot.crosses()} == {
        TEXT.feature(item.feature) for item in report.features if item.drifted
    }


def test_a_report_in_the_address_is_the_one_shown() -> None:
    (report,) = open_story("drifted").find(DriftReport, line="die-a")
    page = _page("drift", "drifted", report=report.id, lang="ko")
    assert not page.exception
    assert any("드리프트" in item.value for item in page.markdown)
    assert len(drift_data([report])) == len(report.features)


def _moved() -> DriftReport:
    (report,) = open_story("drifted").find(DriftReport, line="die-a")
    parts = (
        DriftSlice("station", "AOI-1", 60, DriftVerdict.STABLE),
        DriftSlice("station", HOSTILE, 60, DriftVerdict.DRIFTED, ("brightness",), DriftCause.LIGHT_OR_FOCUS),
    )
    return replace(report, slices=parts, cause=DriftCause.LIGHT_OR_FOCUS, advice=Advice.RECALIBRATE, reason=HOSTILE)


def test_the_part_that_drifted_stands_first_and_its_name_stays_text() -> None:
    first, second = slice_table(_moved(), TEXT).to_dict("records")
    assert first[TEXT.plain("slice_part")].endswith(f" {literal(HOSTILE)}")
    assert first[TEXT.plain("cause_label")] == TEXT.term("light_or_focus")
    assert second[TEXT.plain("slice_drifted")] == "–"
    assert list(slice_data(_moved())["drifted"]) == ["", "brightness"]


def test_a_check_of_the_golden_parts_tells_its_first_difference() -> None:
    lost = GoldenDifference(
        DifferenceKind.MISSING, "<b>die 1</b>", "0" * 64, ("void", 0.9, 0.0, 0.0, 9.0, 9.0), None, "x"
    )
    runs = [
        GoldenRun("g2", "die-a", "s", "m", "a", 40, (lost, lost), "", GoldenPolicy(), NOW),
        GoldenRun("g1", "die-a", "s", "m", "a", 40, (), "", GoldenPolicy(), NOW),
    ]
    shown = golden_table(runs, TEXT)
    assert shown[TEXT.plain("golden_first")][0].startswith(literal("<b>die 1</b>"))
    assert [cell[:5] for cell in shown[TEXT.plain("golden_differences")]] == [":red-", ":blue"]
    assert len(golden_data(runs)) == 3
