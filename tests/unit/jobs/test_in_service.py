"""Inspection, drift and the alerts of a model in service."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.jobs.dies import Files, annotations, champions, lot
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, line_of, parts_in, run_thread
from wafergate.domain.alerts import Alert, AlertPolicy, AlertState
from wafergate.domain.drift import DriftReport, DriftVerdict
from wafergate.domain.inspection import InspectionRun
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import Quarantined, QuarantineReason
from wafergate.domain.splits import Side
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import AlertError, NotFoundError, PromotionError, TrainingError
from wafergate.jobs.alerts import Dispatch, dispatch
from wafergate.jobs.augment import samples_on
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.novelty import novelty_of, refer, taught_images
from wafergate.jobs.parts import Parts, composed
from wafergate.jobs.watch import watch

pytestmark = pytest.mark.unit


def test_inspection_keeps_what_passes_the_frozen_thresholds_and_twice_adds_nothing(files: Files, parts: Parts) -> None:
    (model_id,) = champions(parts, files, 1)
    first = inspect_lot(parts, line_of(), lot(files), "images")
    again = inspect_lot(parts, line_of(), lot(files), "images")
    assert (again.id, again.reused) == (first.id, True)
    row = parts.facts.get(InspectionRun, first.id)
    images = parts.inspections.images(line="dies", run_id=first.id)
    thresholds = parts.facts.get(ModelVersion, model_id).thresholds
    found = [(name, score) for image in images for name, score, *_ in image.detections]
    assert row.images == len(images) == len(annotations(files)["images"])
    assert row.instances == {name: sum(label == name for label, _ in found) for name in ("excess", "missing")}
    assert all(score >= thresholds[name] for name, score in found)
    assert row.defective > 40
    assert len(parts.facts.find(InspectionRun)) == 1


def test_a_model_looks_at_its_training_images_once_and_tells_how_new_others_are(files: Files, parts: Parts) -> None:
    model = parts.facts.get(ModelVersion, champions(parts, files, 1)[0])
    tell = novelty_of(parts, model)
    (reference,) = parts.facts.find(ModelReference)
    assert refer(parts, model) == (reference.id, True)
    taught = taught_images(parts, model)
    assert len(taught) == reference.images == len(samples_on(parts, model.split_id, Side.TRAIN))
    detector = parts.load_detector(model, parts.files.fetch(model.onnx))
    (usual,) = detector([composed(parts, taught[0], model.channels)], min_score=0.1)
    far = replace(usual, embedding=np.full((1, reference.dimensions), 255, np.float32))
    assert 0 < (tell(usual) or 0) < 10 < (tell(far) or 0)
    assert tell(replace(usual, embedding=None)) is None


def test_inspection_goes_on_without_what_it_cannot_judge_and_lists_it(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    first, second = (f"images/{image['file_name']}" for image in annotations(files)["images"][:2])
    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    del pictures[first.replace(".png", "_golden.png")]
    row_id = inspect_lot(parts, line_of(), MemorySource(pictures | {second: b"broken"}), "images").id
    row = parts.facts.get(InspectionRun, row_id)
    assert (row.images, row.quarantined) == (len(annotations(files)["images"]) - 2, 2)
    reasons = {item.path: item.reason for item in parts.facts.find(Quarantined)}
    assert reasons == {first: QuarantineReason.MISSING_IMAGE, second: QuarantineReason.UNREADABLE_IMAGE}


def test_the_same_images_have_not_drifted_and_darker_ones_have_with_one_alert(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    same = parts.facts.get(DriftReport, watch(parts, line_of(), lot(files), "images").id)
    assert same.verdict is DriftVerdict.STABLE
    assert parts.facts.find(Alert) == []
    first = watch(parts, line_of(), lot(files, gain=0.6), "images")
    assert watch(parts, line_of(), lot(files, gain=0.6), "images") == (first.id, True)
    dark = parts.facts.get(DriftReport, first.id)
    assert dark.verdict is DriftVerdict.DRIFTED
    assert "brightness" in {feature.feature for feature in dark.features if feature.drifted}
    assert [alert.subject for alert in parts.facts.find(Alert)] == [first.id]


def test_a_window_too_small_is_neither_stable_nor_drifted(files: Files, parts: Parts) -> None:
    champions(parts, files, 1)
    report = parts.facts.get(DriftReport, watch(parts, line_of(), lot(files, gain=0.6), "images", limit=19).id)
    assert (report.verdict, report.current_images, report.report) == (DriftVerdict.NOT_ENOUGH, 19, None)
    assert parts.facts.find(Alert) == []


@pytest.mark.parametrize(
    ("job", "error", "said"),
    [(inspect_lot, PromotionError, "has no champion"), (watch, NotFoundError, "has no model yet")],
)
def test_without_a_model_nothing_is_inspected_or_watched(
    files: Files, parts: Parts, job: Callable[..., Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=rf"line 'dies' {said}.*`wafergate retrain`"):
        job(parts, line_of(), MemorySource(files), "images")
    assert not parts.facts.find(InspectionRun)
    assert not parts.facts.find(DriftReport)


class Inbox:
    """A channel that is down for its first messages."""

    def __init__(self, *, down_for: int = 0) -> None:
        self.down_for = down_for
        self.taken: list[tuple[str, str]] = []

    def __call__(self, title: str, body: str, *_: object, **__: object) -> None:
        if self.down_for:
            self.down_for -= 1
            message = "channel 1 (json) did not answer"
            raise AlertError(message)
        self.taken.append((title, body))


def test_an_alert_waits_while_the_channel_is_down_and_is_then_sent_exactly_once(files: Files, parts: Parts) -> None:
    run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    inbox = Inbox(down_for=2)
    again: dict[str, Any] = {"line": "dies", "at_once": True}
    for attempts in (1, 2):
        assert dispatch(parts, inbox, AlertPolicy(), **again) == (0, 1, 0, "channel 1 (json) did not answer")
        (alert,) = parts.facts.find(Alert)
        assert (alert.state, alert.attempts, alert.sent_at) == (AlertState.WAITING, attempts, None)
    assert dispatch(parts, inbox, AlertPolicy(), **again) == Dispatch(sent=1)
    assert dispatch(parts, inbox, AlertPolicy(), **again) == Dispatch()
    (alert,) = parts.facts.find(Alert)
    assert (alert.state, alert.attempts, alert.last_error) == (AlertState.SENT, 3, "")
    assert alert.sent_at is not None
    assert inbox.taken == [(alert.title, alert.body)]


def test_without_a_channel_alerts_wait_and_the_line_is_told_where_to_name_one(files: Files, parts: Parts) -> None:
    run_thread(parts, line_of(recall="recall = 0.95"), MemorySource(files))
    told = Dispatch(waiting=1, problem="no channel is set: name one in [alerts] channels")
    assert dispatch(parts, None, AlertPolicy(), line="dies") == told
    assert dispatch(parts, Inbox(), AlertPolicy(), line="another line") == Dispatch()
    assert len(parts.facts.waiting_alerts()) == 1


def test_an_exported_file_that_is_no_model_leaves_no_model_row(files: Files, tmp_path: Path) -> None:
    class Garbled(ContrastTrainer):
        def __call__(self, job: Any, **tell: Any) -> Any:
            artefact = super().__call__(job, **tell)
            artefact.onnx.write_bytes(b"not a model")
            return artefact

    parts = parts_in(tmp_path, trainer=Garbled())
    with pytest.raises(TrainingError, match="is no contrast model"):
        run_thread(parts, line_of(), MemorySource(files))
    assert parts.facts.find(ModelVersion) == []
