"""The tables of a dataset version, the checks over them and the error a failed one ends in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.geometry import Box, iou_matrix
from wafergate.domain.samples import BoxPolicy, LabelledBox, Sample
from wafergate.domain.validation import SEVERITIES, Severity, ValidationPolicy
from wafergate.domain.validation_rows import ValidationFinding
from wafergate.errors import ConfigError
from wafergate.stages.expect import checks, suite_limits
from wafergate.stages.validate import (
    MIN_BOXES_FOR_SIZES,
    box_table,
    class_table,
    findings_to_error,
    group_table,
    image_table,
)

pytestmark = pytest.mark.unit

Drawn = tuple[str, tuple[float, float, float, float]]


def sample(position: int, *boxes: Drawn, size: tuple[int, int] = (100, 80), **metadata: str) -> Sample:
    labelled = tuple(LabelledBox(f"raw-{name}", name, Box(*corners)) for name, corners in boxes)
    return Sample("d", position, f"{position}.png", f"{position:064x}", None, size[0], size[1], labelled, metadata)


def test_every_image_and_every_box_has_its_row_and_metadata() -> None:
    samples = [sample(0, ("spur", (0, 0, 10, 5)), ("open", (5, 5, 9, 9)), lot="L1"), sample(1, station="S2")]
    images, boxes = image_table(samples), box_table(samples)
    assert images["normal"].tolist() == [0, 1]
    assert images["meta_lot"].tolist() == ["L1", None]
    assert boxes["name"].tolist() == ["0.png", "0.png"]
    assert boxes["raw_label"].tolist() == ["raw-spur", "raw-open"]
    assert boxes["example"][0] == "0.png [spur 0, 0, 10, 5]"
    assert boxes["aspect"][0] == 2
    assert boxes["image_share"][0] == pytest.approx(50 / 8000)
    assert boxes["meta_station"].tolist() == [None, None]


@pytest.mark.parametrize(
    ("corners", "overhang"),
    [
        ((0, 0, 100, 80), 0),
        ((-3, 0, 10, 10), 3),
        ((0, -4, 10, 10), 4),
        ((0, 0, 105, 10), 5),
        ((0, 0, 10, 86), 6),
        ((-3, 0, 110, 10), 10),
        ((110, 0, 10, 10), 10),
    ],
)
def test_overhang_is_the_farthest_any_edge_lies_outside(
    corners: tuple[float, float, float, float], overhang: float
) -> None:
    assert box_table([sample(0, ("spur", corners))])["overhang_px"].tolist() == [overhang]


def test_a_box_without_area_has_no_sides_to_judge_and_no_share() -> None:
    row = box_table([sample(0, ("spur", (10, 10, 5, 20)))]).iloc[0]
    assert row["least_extent"] == -5
    assert np.isnan(row["shortest_side"])
    assert np.isnan(row["aspect"])
    assert row["image_share"] == 0


corner = st.integers(0, 12).map(float)
drawn = st.tuples(st.sampled_from(["a", "b"]), st.tuples(corner, corner, corner, corner))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(drawn, max_size=7), max_size=5))
def test_the_largest_overlap_equals_brute_force_over_boxes_of_one_class_and_image(pictures: list[list[Drawn]]) -> None:
    samples = [sample(position, *boxes) for position, boxes in enumerate(pictures)]
    expected = []
    for item in samples:
        corners = np.array([box.box.as_tuple() for box in item.boxes]).reshape(-1, 4)
        ious = iou_matrix(corners, corners)
        np.fill_diagonal(ious, 0)
        same = np.array(item.classes)[:, None] == np.array(item.classes)[None, :]
        expected += list(np.where(same, ious, 0).max(axis=1)) if len(item.boxes) else []
    assert box_table(samples)["duplicate_iou"].to_numpy() == pytest.approx(np.array(expected))


def test_only_a_box_far_from_its_own_class_is_a_size_outlier() -> None:
    usual = [("spur", (0.0, 0.0, 10.0 + index % 3, 10.0)) for index in range(30)]
    large = [("open", (0.0, 0.0, 60.0 + index % 3, 60.0)) for index in range(30)]
    scores = box_table([sample(0, *usual, *large, ("spur", (0, 0, 60, 60)))])["size_score"]
    assert scores.iloc[-1] > 6
    assert scores.iloc[:-1].max() < 6


def test_a_class_of_few_boxes_says_nothing_about_its_sizes() -> None:
    few = [("spur", (0.0, 0.0, 2.0 ** (index % 5), 10.0)) for index in range(MIN_BOXES_FOR_SIZES - 1)]
    assert box_table([sample(0, *few)])["size_score"].isna().all()
    assert box_table([sample(0, *few, ("spur", (0, 0, 5, 5)))])["size_score"].notna().all()


def test_without_any_box_the_tables_keep_their_columns() -> None:
    full, empty = box_table([sample(0, ("spur", (0, 0, 5, 5)))]), box_table([sample(0), sample(1)])
    assert list(empty.columns) == list(full.columns)
    assert len(empty) == 0
    assert image_table([])["name"].tolist() == []


def test_the_class_table_names_every_class_how_rare_it_is_and_where_it_shows() -> None:
    samples = [
        sample(0, ("a", (0, 0, 5, 5)), ("a", (9, 9, 20, 20)), lot="L1"),
        sample(1, ("b", (0, 0, 5, 5)), ("a", (0, 0, 5, 5)), lot="L2"),
        sample(2, ("b", (0, 0, 5, 5)), lot="L2"),
    ]
    table = class_table(box_table(samples), image_table(samples, group_by=["lot"]), ["a", "b", "c"])
    assert table["boxes"].tolist() == [3, 2, 0]
    assert table["images"].tolist()[:2] == [2, 2]
    assert table["groups"].tolist()[:2] == [2, 1]
    assert table["imbalance"].tolist()[:2] == [1, 1.5]
    assert table.loc[2, ["images", "groups", "imbalance"]].isna().all()


def test_the_group_table_counts_images_of_every_combination_of_keys() -> None:
    samples = [sample(place, lot=lot, wafer=wafer) for place, (lot, wafer) in enumerate(["11", "11", "12", "21"])]
    images = image_table([*samples, sample(9, lot="3")], group_by=["lot", "wafer"])
    assert images["group_named"].tolist() == [1, 1, 1, 1, 0]
    table = group_table(images)
    assert table["example"].tolist() == ["1 / 1 (2 images)", "1 / 2 (1 images)", "2 / 1 (1 images)"]
    assert table["share"].tolist() == [0.4, 0.2, 0.2]


def test_an_image_is_lost_with_its_file_or_its_reference() -> None:
    samples = [sample(0), sample(1)]
    with_reference = [*samples, Sample("d", 2, "2.png", f"{2:064x}", "ab" * 32, 9, 9, (), {})]
    assert image_table(with_reference, lost={f"{1:064x}"})["files_stored"].tolist() == [1, 0, 1]
    assert image_table(with_reference, lost={"ab" * 32})["files_stored"].tolist() == [1, 1, 0]


def test_every_check_looks_at_a_column_that_exists_and_has_its_severity_in_the_one_table() -> None:
    samples = [sample(0, ("a", (0, 0, 5, 5)), lot="1")]
    boxes, images = box_table(samples), image_table(samples, group_by=["lot"])
    tables = {"images": images, "boxes": boxes, "groups": group_table(images)}
    tables["classes"] = class_table(boxes, images, ["a"])
    wanted = checks(suite_limits(BoxPolicy(), ["a"], group_by=["lot"]))
    assert {check.name: check.severity for check in wanted} == SEVERITIES
    assert len(wanted) == len(SEVERITIES)
    for check in wanted:
        assert check.kind == "rows" or check.column in tables[check.table].columns


def test_without_group_by_nothing_is_expected_of_groups() -> None:
    left_out = SEVERITIES.keys() - {check.name for check in checks(suite_limits(BoxPolicy(), ["a"]))}
    assert left_out == {"image_group_named", "class_groups", "group_images", "group_share"}


def test_a_line_sets_another_severity_and_cannot_name_a_check_that_is_none() -> None:
    policy = ValidationPolicy(severity={"box_duplicate": Severity.ERROR})
    found = {check.name: check for check in checks(suite_limits(BoxPolicy(), ["a"], dataset=policy))}
    assert found["box_duplicate"].severity is Severity.ERROR
    assert found["box_aspect"].severity is SEVERITIES["box_aspect"]
    with pytest.raises(ValueError, match="box_dup;"):
        ValidationPolicy(severity={"box_dup": Severity.ERROR})


@pytest.mark.parametrize(("key", "wrong"), [("min_side", None), ("classes", []), ("max_aspect", "30")])
def test_a_missing_or_wrong_limit_is_named(key: str, wrong: object) -> None:
    with pytest.raises(ConfigError, match=key):
        checks({**suite_limits(BoxPolicy(), ["a"]), key: wrong})


def finding(severity: str, success: bool, unexpected: int = 7) -> ValidationFinding:
    examples = () if success else ("0.png [spur 0, 0, 0, 5]", "3.png [spur 9, 9, 9, 9]")
    return ValidationFinding("box_has_area", severity, success, 9, unexpected, examples, "every box; draw it again")


def test_warnings_and_held_checks_stop_nothing() -> None:
    assert findings_to_error([finding("warning", False), finding("error", True)], "dataset 3") is None


def test_the_error_names_check_examples_how_many_more_and_what_to_do() -> None:
    error = findings_to_error([finding("warning", False), finding("error", False)], "dataset 3 of line-a")
    assert error is not None
    text = str(error)
    assert "dataset 3 of line-a failed 1 validation check:" in text
    assert "box_has_area" in text
    assert "0.png [spur 0, 0, 0, 5], 3.png [spur 9, 9, 9, 9] and 5 more" in text
    assert "draw it again" in text
