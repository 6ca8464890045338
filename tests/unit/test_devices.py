"""Which cards a training takes: what a line file may say, and what that means on this machine."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.small_line import line_of
from wafergate.adapters.machine import Gpu, describe, find_machine, training_devices
from wafergate.adapters.onnx.runtimes import loads_cuda
from wafergate.adapters.training_group import group_environments
from wafergate.adapters.ultralytics import UltralyticsTrainer, _precision, keep_threads, steady
from wafergate.cli.hardware import _declared
from wafergate.domain.devices import card_numbers, device_names
from wafergate.domain.models import Candidate, Channels, HardwareProfile
from wafergate.domain.training import TrainingJob
from wafergate.errors import ConfigError, HardwareError

pytestmark = pytest.mark.unit
NUMBERS = st.sets(st.integers(0, 15), min_size=1)


@given(NUMBERS)
def test_several_cards_come_in_order_however_they_are_listed(numbers: set[int]) -> None:
    listed = ",".join(map(str, sorted(numbers, reverse=True)))
    assert card_numbers(f"cuda:{listed}") == tuple(sorted(numbers))


@given(st.sampled_from(["auto", "cpu", "cuda", "cuda:all"]) | NUMBERS.map(lambda n: "cuda:" + ",".join(map(str, n))),
       st.integers(0, 16))  # fmt: skip
def test_a_training_has_cards_that_are_there_or_the_processor_or_an_error(device: str, cards: int) -> None:
    try:
        names = device_names(device, cards)
    except LookupError:
        assert device not in {"auto", "cpu"}
        return
    assert names == ("cpu",) or set(names) <= {f"cuda:{number}" for number in range(cards)}
    assert len(set(names)) == len(names) > 0
    if device == "cuda:all":
        assert len(names) == cards


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:a", "cuda:0,0", "cuda:0,,1", "cuda:-1", "", "CPU", "0"])
def test_anything_else_is_refused_when_the_line_file_is_read(device: str) -> None:
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda, cuda:1, cuda:0,1 or cuda:all"):
        HardwareProfile(device=device)


@pytest.fixture
def three_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A driver that names three cards."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\nfor card in A B C; do echo "Card $card, 16000"; done\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


def test_one_card_has_one_name_whatever_it_is_called(three_cards: pytest.MonkeyPatch) -> None:
    assert {training_devices(device) for device in ("auto", "cuda", "cuda:0")} == {("cuda:0",)}
    assert training_devices("cuda:all") == ("cuda:0", "cuda:1", "cuda:2")
    assert training_devices("cpu") == ("cpu",)
    three_cards.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    assert training_devices("cuda") == ("cuda:2",)
    assert training_devices("cuda:all") == ("cuda:2", "cuda:1")
    with pytest.raises(HardwareError, match=r"needs device 'cuda:2', but this machine shows 2 CUDA cards"):
        training_devices("cuda:2")
    three_cards.setenv("CUDA_VISIBLE_DEVICES", "")
    assert training_devices("auto") == ("cpu",)
    with pytest.raises(HardwareError, match="'cuda:all'"):
        training_devices("cuda:all")


def test_a_card_that_does_not_tell_its_memory_is_a_card(three_cards: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text('#!/bin/sh\necho "Shared, [N/A]"\necho "Card, 16000"\n')
    assert find_machine().gpus == (Gpu("Shared", 0.0), Gpu("Card", 16000.0))
    assert training_devices("cuda:all") == ("cuda:0", "cuda:1")
    assert describe("cuda:all", "torch").startswith("Shared + Card 16000 MiB, ")
    line = line_of()
    declared = {key: found for key, _, found in _declared(line, find_machine())}
    assert declared["train.memory_mib"] == "memory not told"


@pytest.mark.parametrize(("generation", "precision"), [(7, False), (8, "bf16"), (12, "bf16")])
def test_a_card_computes_in_half_precision_only_where_it_need_not_emulate_it(
    generation: int, precision: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"cuda:1": SimpleNamespace(major=generation)}
    monkeypatch.setattr(torch.cuda, "get_device_properties", asked.__getitem__)
    assert _precision("cuda:1") == precision
    assert _precision("cpu") is False


def test_ultralytics_computes_with_the_threads_that_are_set() -> None:
    from ultralytics.utils import torch_utils

    before, own = torch.get_num_threads(), torch_utils.NUM_THREADS
    try:
        torch.set_num_threads(own + 2)
        keep_threads()
        torch_utils.select_device("cpu", verbose=False)
        assert torch.get_num_threads() == own + 2
    finally:
        torch_utils.NUM_THREADS = own
        torch.set_num_threads(before)


def test_a_warm_up_steps_after_as_many_images_as_the_rest_of_a_training() -> None:
    class Own:
        accumulate = 1

    trainer: Any = steady(Own)()
    trainer.accumulate = 4  # of 4 images each, where memory has no room for 16
    trainer.settled = True
    steps = []
    for upstream in (1, 2, 4):  # as its own warm-up comes up to it
        trainer.accumulate = upstream
        steps.append(trainer.accumulate)
    assert steps == [4, 4, 4]


@pytest.mark.usefixtures("three_cards")
def test_a_backend_that_trains_on_one_card_refuses_several(tmp_path: Path) -> None:
    candidate = Candidate("yolo11n", "ultralytics", "yolo11n", "AGPL-3.0-only")
    job = TrainingJob(
        candidate, ("a",), tmp_path, tmp_path, None, Channels.IMAGE, 32, 1, 1, 0.0, 0.0, 0, "cuda:0,2",
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"'cuda:0,2' names several cards: candidates of libreyolo train on several"):
        UltralyticsTrainer()(job, on_epoch=lambda _report: None)


def test_every_process_of_a_group_finds_the_others_and_one_alone_finds_none() -> None:
    assert group_environments(1, ("3",)) == [{}]
    group = group_environments(3, ("0", "2", "5"))
    assert [each["RANK"] for each in group] == [each["LOCAL_RANK"] for each in group] == ["0", "1", "2"]
    assert {each["MASTER_PORT"] for each in group} == {group[0]["MASTER_PORT"]}
    assert {(each["WORLD_SIZE"], each["CUDA_VISIBLE_DEVICES"]) for each in group} == {("3", "0,2,5")}


@pytest.mark.usefixtures("three_cards")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("built_for_cards", [False, True])
@pytest.mark.parametrize("libraries", [False, True])
def test_a_model_is_measured_on_a_card_only_where_the_runtime_computes_on_it(
    built_for_cards: bool, libraries: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ["CUDAExecutionProvider"] if built_for_cards else []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*there, "CPUExecutionProvider"])
    if libraries:
        monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _: ["CUDAExecutionProvider"])
    loads_cuda.cache_clear()
    try:
        assert describe("auto", "openvino").startswith("Card A 16000 MiB, ") == (built_for_cards and libraries)
    finally:
        loads_cuda.cache_clear()


def test_a_machine_is_named_by_the_cards_that_are_computed_on(three_cards: pytest.MonkeyPatch) -> None:
    assert describe("cuda:1", "torch").startswith("Card B 16000 MiB, ")
    assert describe("auto", "torch").startswith("Card A 16000 MiB, ")
    assert describe("cuda:0,2", "torch").startswith("Card A 16000 MiB + Card C 16000 MiB, ")
    processor = describe("cpu", "torch")
    assert "Card" not in processor
    three_cards.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert describe("cuda", "torch").startswith("Card C 16000 MiB, ")
    three_cards.setenv("CUDA_VISIBLE_DEVICES", "GPU-1234")
    assert describe("cuda", "torch").startswith("GPU-1234, ")
    three_cards.setenv("CUDA_VISIBLE_DEVICES", "")
    assert describe("auto", "torch") == processor
    assert describe("cuda:7", "torch") == processor, "of cards that are not here training itself tells"
