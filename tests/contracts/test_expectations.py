"""The validation suite in Great Expectations itself."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from wafergate.adapters.expectations import GreatExpectationsValidator, data_docs
from wafergate.domain.geometry import Box
from wafergate.domain.review import Suspicion
from wafergate.domain.samples import BoxPolicy, LabelledBox, Sample
from wafergate.domain.validation import SEVERITIES
from wafergate.domain.validation_rows import ValidationFinding
from wafergate.errors import ConfigError, ServiceError
from wafergate.ports import SuiteValidator
from wafergate.stages.expect import checks, suite_limits
from wafergate.stages.review import suspect
from wafergate.stages.validate import box_table, image_table

CLASSES = ("spur", "open")
VALIDATE: SuiteValidator = GreatExpectationsValidator()


def spur(*corners: float, name: str = "spur") -> LabelledBox:
    return LabelledBox(name, name, Box(*corners))


def clean() -> list[Sample]:
    """Sixty images in which everything holds: two classes, sizes alike, some without defect."""
    boxes = {
        0: (spur(10, 10, 20, 19), spur(50, 50, 62, 60, name="open")),
        1: (spur(30, 30, 41, 40),),
        2: (),
    }
    return [
        Sample(
            "d", index, f"{index:02d}.png", f"{index:064x}", None, 100, 80, boxes[index % 3], {"lot": f"L{index // 15}"}
        )
        for index in range(60)
    ]


def validate(samples: Sequence[Sample], policy: BoxPolicy | None = None) -> dict[str, ValidationFinding]:
    limits = suite_limits(policy or BoxPolicy(), CLASSES, group_by=["lot"])
    found = VALIDATE(image_table(samples, group_by=["lot"]), box_table(samples), limits=limits)
    return {finding.expectation: finding for finding in found.findings}


def with_boxes(*boxes: LabelledBox) -> list[Sample]:
    samples = clean()
    return [*samples[:-1], replace(samples[-1], boxes=boxes)]


def broken(findings: dict[str, ValidationFinding]) -> set[str]:
    return {name for name, finding in findings.items() if not finding.success}


def test_a_clean_dataset_breaks_nothing() -> None:
    findings = validate(clean())
    assert broken(findings) == set()
    assert findings.keys() == SEVERITIES.keys()
    assert findings["box_inside_image"].checked == 60
    assert findings["images_present"].checked == 60


@pytest.mark.parametrize(
    ("boxes", "names", "severity"),
    [
        ((spur(10, 10, 20, 20, name="scratch"),), {"class_known"}, "error"),
        ((spur(10, 10, 10, 20),), {"box_has_area"}, "error"),
        ((spur(20, 10, 10, 20),), {"box_has_area"}, "error"),
        ((spur(90, 10, 101.5, 20),), {"box_inside_image"}, "error"),
        ((spur(10, 10, 11, 100 / 1.5),), {"box_side", "box_aspect"}, "warning"),
        ((spur(0, 0, 100, 79),), {"box_whole_image", "box_size_outlier"}, "warning"),
        ((spur(10, 10, 20, 20), spur(10, 10, 20, 20.2)), {"box_duplicate"}, "warning"),
        ((spur(10, 10, 50, 60),), {"box_size_outlier"}, "warning"),
    ],
)
def test_a_wrong_box_breaks_its_own_checks_and_no_other(
    boxes: tuple[LabelledBox, ...], names: set[str], severity: str
) -> None:
    findings = validate(with_boxes(*boxes))
    assert broken(findings) == names
    for name in names:
        assert findings[name].severity == severity
        assert findings[name].unexpected == len(boxes)
        assert all(example.startswith("59.png [") for example in findings[name].examples)


def test_a_box_on_its_limits_is_not_wrong() -> None:
    policy = BoxPolicy(min_side=9, outside_px=1, max_aspect=1.2)
    assert broken(validate(with_boxes(spur(89, 10, 101, 20)), policy)) == set()


@pytest.mark.parametrize(
    ("change", "name", "severity", "unexpected"),
    [
        ({"name": "00.png"}, "image_name_unique", "error", 2),
        ({"width": 0}, "image_size_positive", "error", 1),
        ({"image": f"{0:064x}"}, "image_bytes_unique", "warning", 2),
    ],
)
def test_a_wrong_image_is_named(change: dict[str, object], name: str, severity: str, unexpected: int) -> None:
    samples = clean()
    findings = validate([*samples[:-1], replace(samples[-1], **change)])  # type: ignore[arg-type]
    assert broken(findings) == {name}
    assert (findings[name].severity, findings[name].unexpected) == (severity, unexpected)
    assert any(example in {"59.png", "00.png"} for example in findings[name].examples)


def test_only_normal_images_work_and_name_the_classes_without_a_box() -> None:
    findings = validate([replace(sample, boxes=()) for sample in clean()])
    assert broken(findings) == {"class_present", "normal_share"}
    assert findings["class_present"].examples == ("spur (0 boxes)", "open (0 boxes)")
    assert findings["box_inside_image"].checked == 0


def test_no_image_at_all_is_an_error() -> None:
    findings = validate([])
    assert "images_present" in broken(findings)
    assert findings["images_present"].severity == "error"


def test_no_normal_image_and_a_very_rare_class_are_reported() -> None:
    samples = [replace(sample, boxes=(spur(30, 30, 41, 40),)) for sample in clean()]
    samples[0] = replace(samples[0], boxes=(spur(30, 30, 41, 40, name="open"),))
    findings = validate(samples)
    assert broken(findings) == {"normal_share", "class_balance", "class_images", "class_groups"}
    assert findings["class_balance"].examples == ("open (1 boxes)",)


def test_a_group_is_checked_for_its_name_its_size_and_its_classes() -> None:
    samples = [replace(sample, metadata={"lot": "L1" if sample.position < 45 else "L2"}) for sample in clean()]
    samples = [replace(sample, boxes=sample.boxes if sample.position < 45 else sample.boxes[:1]) for sample in samples]
    samples[59] = replace(samples[59], metadata={"lot": "L 2"})
    samples[58] = replace(samples[58], metadata={})
    findings = validate(samples)
    assert broken(findings) == {"image_group_named", "group_images", "group_share", "class_groups"}
    assert findings["image_group_named"].examples == ("58.png",)
    assert findings["group_images"].examples == ("L 2 (1 images)",)
    assert findings["group_share"].examples == ("L1 (45 images)",)
    assert findings["class_groups"].examples == ("open (15 boxes)",)


def test_a_lost_file_is_an_error_that_names_its_image() -> None:
    samples = clean()
    images = image_table(samples, lost={samples[3].image})
    found = VALIDATE(images, box_table(samples), limits=suite_limits(BoxPolicy(), CLASSES))
    (lost,) = [finding for finding in found.findings if not finding.success]
    assert (lost.expectation, lost.severity, lost.examples) == ("image_files_stored", "error", ("03.png",))


def test_the_review_list_holds_exactly_the_boxes_that_break_a_check_of_their_own() -> None:
    wrong = [
        spur(10, 10, 10, 20), spur(90, 10, 101.5, 20), spur(10, 10, 11, 100 / 1.5), spur(0, 0, 100, 79),
        spur(40, 10, 50, 20), spur(40, 10, 50, 20.2), spur(10, 10, 11, 12), spur(70, 70, 30, 10),
    ]  # fmt: skip
    samples = with_boxes(*wrong)
    limits = suite_limits(BoxPolicy(), CLASSES)
    boxes = box_table(samples)
    suspected = suspect(boxes, checks(limits))
    findings = VALIDATE(image_table(samples), boxes, limits=limits).findings
    about_boxes = [finding for finding in findings if finding.expectation.startswith("box_")]
    assert sum(finding.unexpected for finding in about_boxes) == len(suspected)
    assert {item.kind for item in suspected} == set(Suspicion) - {
        Suspicion.MISSED,
        Suspicion.SWAPPED,
        Suspicion.BADLY_PLACED,
    }
    for item in suspected:
        assert item.sample == "59.png"
        assert item.box_index is not None
        assert wrong[item.box_index].box == item.box
    kinds = [list(Suspicion).index(item.kind) for item in suspected]
    assert kinds == sorted(kinds)


def test_errors_come_first_and_at_most_five_examples_are_named() -> None:
    findings, _, _ = VALIDATE(
        image_table(clean()),
        box_table([replace(sample, boxes=(spur(5, 5, 5, 9),)) for sample in clean()]),
        limits=suite_limits(BoxPolicy(), CLASSES),
    )
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities)
    area = next(finding for finding in findings if finding.expectation == "box_has_area")
    assert (area.unexpected, len(area.examples)) == (60, 5)


def test_a_broken_expectation_is_an_error_and_never_a_finding() -> None:
    boxes = box_table(clean()).drop(columns="overhang_px")
    with pytest.raises(ServiceError, match="box_inside_image"):
        VALIDATE(image_table(clean()), boxes, limits=suite_limits(BoxPolicy(), CLASSES))


def test_a_missing_limit_is_named_before_anything_runs() -> None:
    limits = suite_limits(BoxPolicy(), CLASSES)
    with pytest.raises(ConfigError, match="outside_px"):
        VALIDATE(image_table(clean()), box_table(clean()), limits=limits | {"outside_px": None})


def test_the_report_is_the_full_result_and_the_same_for_the_same_tables() -> None:
    tables = image_table(clean()), box_table(clean())
    first, second = (VALIDATE(*tables, limits=suite_limits(BoxPolicy(), CLASSES)) for _ in range(2))
    assert first == second
    report = json.loads(first.report)
    assert report["limits"]["outside_px"] == 1.0
    assert report["tables"]["boxes"]["statistics"]["evaluated_expectations"] == 8


def test_data_docs_load_nothing_and_run_nothing() -> None:
    samples = with_boxes(spur(5, 5, 5, 9))
    samples[-1] = replace(samples[-1], name="<img src=x onerror=alert(1)>.png")
    limits = suite_limits(BoxPolicy(), CLASSES)
    _, _, docs = VALIDATE(image_table(samples), box_table(samples), limits=limits, title="version 3 of <x>")
    page = docs.decode()
    assert "<h1>version 3 of &lt;x&gt;</h1>" in page
    assert "box_has_area" in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png [spur 5, 5, 5, 9]" in page
    assert "least_extent" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<link" not in page
    assert "<img" not in page
    with pytest.raises(ServiceError, match="Data Docs"):
        data_docs(b"{}")


def test_the_suite_opens_no_connection_and_prints_nothing() -> None:
    program = """
import socket, sys
def refuse(self, address): sys.exit(f"tried to reach {address}")
socket.socket.connect = refuse
import pandas as pd
from wafergate.adapters.expectations import GreatExpectationsValidator
from wafergate.domain.samples import BoxPolicy
from wafergate.stages.expect import suite_limits
from wafergate.stages.validate import box_table, image_table
GreatExpectationsValidator()(image_table([]), box_table([]), limits=suite_limits(BoxPolicy(), ["a"]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_hundred_thousand_boxes_take_seconds() -> None:
    boxes = pd.concat([box_table(clean())] * 3334, ignore_index=True)
    started = time.perf_counter()
    findings, report, _ = VALIDATE(image_table(clean()), boxes, limits=suite_limits(BoxPolicy(), CLASSES))
    assert next(finding for finding in findings if finding.expectation == "box_aspect").checked == 200_040
    assert time.perf_counter() - started < 30
    assert len(report) < 100_000
