"""What a line allows to be trained: mirroring, licences, weights."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.jobs.dies import Files, rule
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import LINE, ContrastTrainer, line_of, parts_in, run_thread
from wafergate.adapters.catalogue import load_catalogue
from wafergate.cli.licences import app
from wafergate.domain.augmentation import OperationKind
from wafergate.domain.gate import GateDecision, Verdict
from wafergate.domain.licences import may_be_used
from wafergate.domain.training_rows import ModelVersion, TrainingEpoch
from wafergate.domain.weights import WeightFile
from wafergate.errors import ConfigError, LicenceError
from wafergate.jobs.decide import decide
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.licences import licensed_parts, require_releasable, require_trainable
from wafergate.jobs.parts import Parts
from wafergate.jobs.train import train
from wafergate.jobs.training_job import choose_start
from wafergate.jobs.weights import add_weights, known_candidates, weights_licence_of
from wafergate.line import parse_line

pytestmark = pytest.mark.unit


def bring(parts: Parts, file: Path, *, model: str = "contrast", licence: str = "MIT", line: Any = None) -> Any:
    known = known_candidates(parts, line)
    return add_weights(parts, file, model, licence=licence, source="the team", actor="Kim", known=known)


def licensed(tmp_path: Path, policy: str = "", *, start: str = "true") -> Any:
    """Return the line with code under AGPL-3.0 and weights under CC-BY-NC-4.0."""
    return line_of(
        tmp_path,
        code_licence='code_licence = "AGPL-3.0"',
        weights_licence='weights_licence = "CC-BY-NC-4.0"',
        random_start=f"random_start = {start}",
        min_images=f"min_images = 20\n[licences]\n{policy}",
    )


@pytest.mark.parametrize("operations", [(), ("flip_horizontal",), ("flip_vertical", "turn_90")])
def test_training_mirrors_only_as_the_line_file_allows(files: Files, tmp_path: Path, operations: Sequence[str]) -> None:
    trainer = ContrastTrainer()
    parts = parts_in(tmp_path, trainer=trainer)
    line = line_of(tmp_path)
    allowed = replace(line.augment, operations=tuple(map(OperationKind, operations)))
    line = line.model_copy(update={"augment": allowed})
    run_thread(parts, line, MemorySource(files))
    (job,) = trainer.jobs
    assert (job.flip_horizontal, job.flip_vertical) == ("flip_horizontal" in operations, "flip_vertical" in operations)


def test_a_refused_licence_stops_before_anything_is_trained(files: Files, tmp_path: Path) -> None:
    trainer = ContrastTrainer()
    parts = parts_in(tmp_path, trainer=trainer)
    with pytest.raises(LicenceError, match=r"the code is under AGPL-3.0: .*not in \[licences\] allowed \(Apache-2.0"):
        run_thread(parts, licensed(tmp_path), MemorySource(files))
    assert trainer.runs == 0
    assert not parts.facts.find(TrainingEpoch)
    assert not parts.facts.find(ModelVersion)


def test_the_licence_of_weights_counts_only_where_training_starts_from_them(tmp_path: Path, parts: Parts) -> None:
    line = licensed(tmp_path, 'allowed = ["Apache-2.0", "AGPL-3.0"]')
    assert choose_start(parts, line).weights is None
    (tmp_path / "contrast.json").write_text("[]")
    with pytest.raises(LicenceError, match=r"the weights are under CC-BY-NC-4.0"):
        choose_start(parts, line)


def test_weights_that_were_brought_are_started_from_under_their_own_licence(tmp_path: Path, parts: Parts) -> None:
    line = licensed(tmp_path, 'allowed = ["Apache-2.0", "AGPL-3.0"]', start="false")
    with pytest.raises(ConfigError, match="wafergate weights add FILE --model contrast"):
        choose_start(parts, line)
    file = tmp_path / "brought.json"
    file.write_text("[1]")
    brought = bring(parts, file, licence="Apache-2.0", line=line)
    assert bring(parts, file, licence="Apache-2.0", line=line) == (brought.id, True)
    start = choose_start(parts, line)
    assert start.weights is not None
    assert start.weights.read_text() == "[1]"
    assert choose_start(parts, line, weights=file).digest == start.digest  # the licence goes with the bytes
    other = tmp_path / "other.json"
    other.write_text("[2]")
    with pytest.raises(LicenceError, match=r"the weights are under CC-BY-NC-4\.0"):
        choose_start(parts, line, weights=other)


def test_a_weight_file_without_licence_model_or_bytes_is_not_kept(tmp_path: Path, parts: Parts) -> None:
    line, file = line_of(tmp_path), tmp_path / "brought.json"
    file.touch()
    with pytest.raises(ConfigError, match="is empty"):
        bring(parts, file, line=line)
    file.write_text("[1]")
    with pytest.raises(ConfigError, match="--model must be one of contrast; found 'other'"):
        bring(parts, file, model="other", line=line)
    with pytest.raises(ConfigError, match="SPDX"):
        bring(parts, file, licence=" ", line=line)
    bring(parts, file, line=line)
    with pytest.raises(ConfigError, match="is known for contrast under MIT, brought by Kim"):
        bring(parts, file, licence="Apache-2.0", line=line)
    assert len(parts.facts.find(WeightFile)) == 1


def test_a_research_licence_trains_and_fails_the_gate_until_somebody_accepts_it(
    files: Files, tmp_path: Path, parts: Parts
) -> None:
    policy = 'allowed = ["Apache-2.0"]\nresearch_only = ["AGPL-3.0"]'
    thread = run_thread(parts, licensed(tmp_path, policy), MemorySource(files))
    decision = parts.facts.get(GateDecision, thread.decision.id)
    assert decision.verdict is Verdict.FAIL
    assert rule(decision, "licence") == [("code", Verdict.FAIL), ("images", Verdict.PASS)]
    accepted = licensed(tmp_path, policy + '\nexceptions = { "AGPL-3.0" = { who = "Kim", why = "source is offered" } }')
    again = run_thread(parts, accepted, MemorySource(files))
    assert again.model == (thread.model.id, True)
    assert parts.facts.get(GateDecision, again.decision.id).verdict is Verdict.PASS


def test_missing_weights_stop_unless_the_line_allows_a_random_start(tmp_path: Path, parts: Parts) -> None:
    strict = line_of(tmp_path, random_start="random_start = false")
    with pytest.raises(ConfigError, match=r"starts from weights \(contrast.json\).*--weights.*random_start = true"):
        choose_start(parts, strict)
    assert choose_start(parts, line_of(tmp_path)).weights is None
    (tmp_path / "contrast.json").write_text("[]")
    assert choose_start(parts, strict).weights == tmp_path / "contrast.json"
    with pytest.raises(ConfigError, match=r"there is no weight file .*other.json; check --weights"):
        choose_start(parts, strict, weights=tmp_path / "other.json")


def test_other_weights_are_another_model(files: Files, tmp_path: Path, parts: Parts) -> None:
    random = run_thread(parts, line_of(tmp_path), MemorySource(files))
    (tmp_path / "contrast.json").write_text("[]")
    started = train(parts, line_of(tmp_path), random.training_set.id)
    assert not started.reused
    assert started.id != random.model.id
    assert parts.facts.get(ModelVersion, started.id).number == 2


def test_an_unknown_candidate_names_those_there_are(parts: Parts) -> None:
    with pytest.raises(ConfigError, match="must be one of contrast; found 'yolo99'"):
        choose_start(parts, line_of(candidate='candidate = "yolo99"'))


@pytest.mark.parametrize(
    ("model", "verdict", "blamed"),
    [
        ("yolo11n", "no", ("code", "weights")),
        ("dfine-n", "no", ("weights",)),
        ("yolox-nano", "train only", ("images",)),
    ],
)
def test_what_stands_against_a_candidate_is_blamed_and_nothing_else(
    tmp_path: Path, model: str, verdict: str, blamed: tuple[str, ...]
) -> None:
    """Images for research alone keep nothing from being trained."""
    policy = '[licences]\nallowed = ["Apache-2.0", "MIT"]\nresearch_only = ["LicenseRef-Research"]\n'
    text = f'[line]\nname = "l"\nclasses = ["a"]\n[intake]\nlicence = "LicenseRef-Research"\n{policy}'
    line, candidate = parse_line(text, tmp_path / "line.toml"), load_catalogue()[model]
    said = licensed_parts({}, line, candidate, from_weights=True)
    assert may_be_used(said, line.licences, today=date(2026, 3, 1)) == (verdict, blamed)
    if not candidate.weights_licence:
        with pytest.raises(LicenceError, match="under no named licence: nobody names a licence, so it is not in"):
            require_trainable(line, said, today=date(2026, 3, 1))


OWN = '\n[[models.candidates]]\nname = "{}"\nbackend = "{}"\narchitecture = "{}"\ncode_licence = "{}"'


@pytest.mark.parametrize(
    ("name", "backend", "architecture", "stated", "asked"),
    [
        ("mine", "ultralytics", "yolo11n", "MIT", "MIT AND AGPL-3.0-only"),
        ("yolo11n", "ultralytics", "yolo11n", "MIT", "MIT AND AGPL-3.0-only"),
        ("mine", "ultralytics", "yolo99x.yaml", "MIT", "MIT AND AGPL-3.0-only"),
        ("mine", "ultralytics", "yolo11n", "AGPL-3.0-only", "AGPL-3.0-only"),
        ("mine", "libreyolo", "LibreDFINEn", "MIT", "MIT AND Apache-2.0"),
        ("mine", "libreyolo", "LibreNew", "BSD-3-Clause OR 0BSD", "BSD-3-Clause AND MIT OR 0BSD AND MIT"),
        ("mine", "of-the-house", "yolo11n", "MIT", "MIT"),
    ],
)
def test_an_entry_of_the_line_makes_no_code_freer_than_the_catalogue_knows_it(
    tmp_path: Path, parts: Parts, name: str, backend: str, architecture: str, stated: str, asked: str
) -> None:
    parts = replace(parts, catalogue=load_catalogue())
    own = f"overkill = 1.0{OWN.format(name, backend, architecture, stated)}"
    line = line_of(tmp_path, candidate=f'candidate = "{name}"', overkill=own)
    said = licensed_parts(parts.catalogue, line, line.models.candidates[-1], from_weights=False)
    assert {part.subject: part.licence for part in said}["code"] == asked
    if "AGPL" in asked:
        with pytest.raises(LicenceError, match=r"the code is under .*AGPL-3\.0-only: .*not in \[licences\] allowed"):
            choose_start(parts, line)


def test_licences_tells_what_the_catalogue_asks_of_an_entry_of_the_line(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "line.toml"
    file.write_text(LINE + OWN.format("mine", "ultralytics", "yolo11n", "MIT"))
    monkeypatch.setattr("wafergate.cli.licences.ready", lambda: replace(parts, catalogue=load_catalogue()))
    said = " ".join(CliRunner().invoke(app, ["--line", str(file), "--model", "mine"]).output.split())
    assert "MIT AND AGPL-3.0-only is not in [licences] allowed" in said
    assert "ultralytics yolo11n is under AGPL-3.0-only, whatever names it" in said
    assert "it is not trained because of its code" in said


def test_a_commercial_licence_is_an_exception_with_who_and_why(tmp_path: Path, parts: Parts) -> None:
    bought = '"AGPL-3.0-only" = { who = "Kim", why = "licence E-42" }'
    house = f'\n[licences]\nallowed = ["MIT", "Apache-2.0"]\nexceptions = {{ {bought} }}'
    own = f"overkill = 1.0{OWN.format('mine', 'ultralytics', 'yolo11n', 'MIT')}{house}"
    line = line_of(tmp_path, candidate='candidate = "mine"', overkill=own)
    assert choose_start(replace(parts, catalogue=load_catalogue()), line).candidate.name == "mine"


def test_a_stored_model_is_asked_at_the_gate_and_at_release_for_what_the_catalogue_says(
    files: Files, tmp_path: Path, parts: Parts
) -> None:
    line = line_of(tmp_path)
    thread = run_thread(parts, line, MemorySource(files))
    require_releasable(parts, line, thread.model.id)
    known = replace(load_catalogue()["yolo11n"], backend="contrast", architecture="contrast")
    knowing = replace(parts, catalogue={known.name: known})
    with pytest.raises(LicenceError, match=r"may not be released: the code is under MIT AND AGPL-3\.0-only"):
        require_releasable(knowing, line, thread.model.id)
    again = decide(knowing, line, thread.evaluation.id, actor="kim")
    assert ("code", Verdict.FAIL) in rule(parts.facts.get(GateDecision, again.id), "licence")


RESEARCH = 'licence = "LicenseRef-Research"'
FOR_RESEARCH = 'min_images = 20\n[licences]\nallowed = ["Apache-2.0", "MIT"]\nresearch_only = ["LicenseRef-Research"]'


def test_images_keep_the_licence_they_were_taken_in_under_whatever_the_line_file_says_later(
    files: Files, tmp_path: Path, parts: Parts
) -> None:
    line = line_of(tmp_path, licence=RESEARCH, min_images=FOR_RESEARCH)
    thread = run_thread(parts, line, MemorySource(files))
    renamed = line_of(tmp_path, min_images=FOR_RESEARCH)
    assert renamed.intake.licence == "Apache-2.0"
    again = parts.facts.get(GateDecision, decide(parts, renamed, thread.evaluation.id, actor="kim").id)
    assert ("images", Verdict.FAIL) in rule(again, "licence")
    with pytest.raises(LicenceError, match=r"may not be released: the images are under LicenseRef-Research"):
        require_releasable(parts, renamed, thread.model.id)
    strict = line_of(tmp_path, epochs="epochs = 3", min_images='min_images = 20\n[licences]\nallowed = ["MIT"]')
    strict = strict.model_copy(update={"intake": strict.intake.model_copy(update={"licence": "MIT"})})
    with pytest.raises(LicenceError, match="the images are under LicenseRef-Research"):
        train(parts, strict, thread.training_set.id)


def test_a_model_whose_exception_has_ended_is_not_released(files: Files, tmp_path: Path, parts: Parts) -> None:
    until = '"AGPL-3.0" = { who = "Kim", why = "on trial", until = 2026-03-31 }'
    line = licensed(tmp_path, f'allowed = ["Apache-2.0"]\nexceptions = {{ {until} }}')
    thread = run_thread(parts, line, MemorySource(files))
    assert parts.facts.get(GateDecision, thread.decision.id).verdict is Verdict.PASS
    require_releasable(parts, line, thread.model.id)
    later = replace(parts, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))
    with pytest.raises(LicenceError, match=r"the code is under AGPL-3\.0: .*the exception of Kim: on trial .* ended"):
        require_releasable(later, line, thread.model.id)


def test_the_licence_of_a_weight_file_goes_with_its_bytes_to_every_candidate(tmp_path: Path, parts: Parts) -> None:
    other = "\n[[models.candidates]]\n" + "\n".join(
        f'{key} = "{value}"'
        for key, value in {
            "name": "other", "backend": "contrast", "architecture": "contrast", "code_licence": "MIT",
            "weights_licence": "MIT", "licence_source": "the team",
        }.items()
    )  # fmt: skip
    line = line_of(tmp_path, overkill=f"overkill = 1.0\n{other}")
    file = tmp_path / "shared.json"
    file.write_text("[1]")
    bring(parts, file, licence="CC-BY-NC-4.0", line=line)
    of_other = line.model_copy(update={"models": replace(line.models, candidate="other")})
    with pytest.raises(LicenceError, match=r"the weights are under CC-BY-NC-4\.0"):
        choose_start(parts, of_other, weights=file)
    with pytest.raises(ConfigError, match=r"is known for contrast under CC-BY-NC-4\.0.*a file has one licence"):
        bring(parts, file, model="other", line=line)


def test_weights_of_no_stated_licence_train_and_are_promoted_only_once_it_is_stated(
    files: Files, tmp_path: Path, parts: Parts
) -> None:
    line = line_of(tmp_path)
    training_set = run_thread(parts, line, MemorySource(files)).training_set.id
    own, found = tmp_path / "contrast.json", tmp_path / "found.json"
    found.write_text("[1]")
    model = train(parts, line, training_set, weights=found)
    stored = parts.facts.get(ModelVersion, model.id)
    assert stored.start_licence == weights_licence_of(parts.facts, stored) == ""
    evaluation = evaluate(parts, line, model.id)

    def asked() -> list[tuple[str, Verdict]]:
        return rule(parts.facts.get(GateDecision, decide(parts, line, evaluation.id, actor="kim").id), "licence")

    assert ("weights", Verdict.FAIL) in asked()
    with pytest.raises(LicenceError, match="the weights are under no named licence: nobody names a licence"):
        require_releasable(parts, line, model.id)
    bring(parts, found, licence="MIT", line=line)
    assert ("weights", Verdict.PASS) in asked()
    assert weights_licence_of(parts.facts, stored) == "MIT"
    require_releasable(parts, line, model.id)
    assert train(parts, line, training_set, weights=found) == (model.id, True)
    own.write_text("[2]")
    assert {choose_start(parts, line, weights=file).licence for file in (None, own)} == {"MIT"}


def test_a_file_to_start_from_that_cannot_be_read_is_said_by_its_name(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, file = line_of(tmp_path), tmp_path / "own.json"
    file.touch()
    with pytest.raises(ConfigError, match=r"own\.json is empty"):
        choose_start(parts, line, weights=file)

    def refused(_file: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ConfigError, match=r"own\.json cannot be read \(Permission denied\)"):
        choose_start(parts, line, weights=file)


def test_a_file_that_is_given_starts_a_candidate_whose_own_is_empty(tmp_path: Path, parts: Parts) -> None:
    line, given = line_of(tmp_path), tmp_path / "given.json"
    (tmp_path / "contrast.json").touch()
    given.write_text("[1]")
    start = choose_start(parts, line, weights=given)
    assert (start.weights, start.licence) == (given, "")
    with pytest.raises(ConfigError, match=r"contrast\.json is empty"):
        choose_start(parts, line)


def test_a_weight_file_that_another_took_the_place_of_can_be_brought_again(tmp_path: Path, parts: Parts) -> None:
    line = line_of(tmp_path, random_start="random_start = false")
    good, wrong = tmp_path / "good.json", tmp_path / "wrong.json"
    good.write_text("[1]")
    wrong.write_text("[2]")
    first = bring(parts, good, line=line)
    bring(parts, wrong, line=line)
    again = bring(parts, good, line=line)
    assert not again.reused
    assert again.id != first.id
    start = choose_start(parts, line)
    assert start.weights is not None
    assert start.weights.read_text() == "[1]"
    assert bring(parts, good, line=line) == (again.id, True)


def test_a_weight_file_that_its_backend_refuses_is_not_kept(tmp_path: Path, parts: Parts) -> None:
    class Refusing:
        def address(self, architecture: str) -> str:
            return architecture

        def check(self, file: Path) -> None:
            message = f"{file.name} holds code"
            raise ConfigError(message)

    line, file = line_of(tmp_path), tmp_path / "hostile.json"
    file.write_text("[1]")
    with pytest.raises(ConfigError, match=r"hostile\.json holds code"):
        bring(replace(parts, published={"contrast": Refusing()}), file, line=line)
    assert not parts.facts.find(WeightFile)
