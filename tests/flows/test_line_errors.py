"""A line file that is wrong, said by the commands that read it; no services are needed."""

from pathlib import Path

import pytest

from tests.flows.commands import run_fresh
from tests.flows.small import write_line
from wafergate.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment in which no service was ever started."""
    return {"WAFERGATE_HOME": str(tmp_path / "nowhere"), "PREFECT_API_URL": ""}


def test_a_missing_line_file_is_said_with_the_command_that_writes_one(tmp_path: Path) -> None:
    said = run_fresh("check", str(tmp_path / "none.toml"))
    assert said.code == ConfigError.exit_code
    assert said.sentence == f"there is no line file {tmp_path / 'none.toml'}; `wafergate init` writes one to start from"


@pytest.mark.parametrize("command", ["watch", "governor ask", "weekly"])
def test_a_line_s_name_where_its_file_is_needed_is_said(tmp_path: Path, command: str) -> None:
    said = run_fresh(*command.split(), "--line", "pcb", cwd=tmp_path)
    assert said.code == ConfigError.exit_code
    assert said.sentence.startswith("there is no line file pcb (this needs the file, a line's name is not enough);")


def test_all_errors_of_a_line_file_are_told_at_once_each_with_its_key(tmp_path: Path) -> None:
    line = write_line(tmp_path / "wrong.toml", "wrong", epochs=0, recall=1.5, approval="maybe", more="[gates]")
    said = run_fresh("check", str(line))
    assert said.code == ConfigError.exit_code
    first, *problems = said.sentence.splitlines()
    assert first == f"wrong.toml has {len(problems)} errors:"
    assert [problem.split(":")[0].strip() for problem in problems] == [
        "models.epochs", "gate.recall", "gate.critical_recall", "gates",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "told"), [(b"[line\n", "is not TOML"), (b"\xff\xfe\x00", "cannot be read"), (b"", "line: required")]
)
def test_a_file_that_is_no_line_file_is_said(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "line.toml").write_bytes(content)
    said = run_fresh("check", str(tmp_path / "line.toml"))
    assert said.code == ConfigError.exit_code
    assert told in said.sentence


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ('candidate = "dfine-n"\nimage_size = 224', "a multiple of 32 from 256 to 4096 for dfine-n, found 224"),
        ('candidate = "yolox-nanno"', "[models] candidate must be one of dfine-m, "),
        ('candidate = "auto"\nchoose_from = ["yolox-nanno"]', "choose_from must name candidates of dfine-m, "),
        (
            'candidate = "mine"\n[[models.candidates]]\nname = "mine"\nbackend = "libreyol"\narchitecture = "x"\n'
            'code_licence = "MIT"',
            "candidate mine needs a backend of libreyolo, ultralytics; found 'libreyol'",
        ),
    ],
)
def test_a_candidate_that_is_not_there_or_not_of_this_size_is_said_by_check(
    tmp_path: Path, models: str, told: str
) -> None:
    line = tmp_path / "line.toml"
    line.write_text(f'[line]\nname = "a"\nclasses = ["b"]\n[models]\n{models}\n')
    said = run_fresh("check", str(line))
    assert said.code == ConfigError.exit_code
    assert told in said.sentence


def test_everything_that_is_wrong_with_the_candidates_is_said_at_once(tmp_path: Path) -> None:
    line, wrong = (
        tmp_path / "line.toml",
        '[[models.candidates]]\nbackend = "none"\narchitecture = "x"\ncode_licence = "MIT"',
    )
    line.write_text(
        '[line]\nname = "a"\nclasses = ["b"]\n[models]\ncandidate = "absent"\nchoose_from = ["absent"]\n'
        f'{wrong}\nname = "mine"\n{wrong}\nname = "ours"\n'
    )
    said = run_fresh("check", str(line))
    assert said.code == ConfigError.exit_code
    assert [problem.split()[0] for problem in said.err.splitlines()[1:5]] == [
        "[models]",
        "candidate",
        "candidate",
        "[models]",
    ]
    assert "line.toml has 4 errors:" in said.err


def test_what_init_writes_is_right_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "line.toml"
    assert run_fresh("init", str(file)).code == 0
    assert run_fresh("check", str(file)).code == 0
    file.write_text("mine")
    assert "stays as it is" in run_fresh("init", str(file)).sentence
    assert file.read_text() == "mine"
    said = run_fresh("init", str(tmp_path / "no" / "line.toml"))
    assert said.code == ConfigError.exit_code
    assert "cannot be written" in said.sentence


def test_verbose_shows_the_traceback_above_the_same_sentence(tmp_path: Path) -> None:
    plain, verbose = (run_fresh("check", str(tmp_path / "none.toml"), *more) for more in ((), ("--verbose",)))
    assert verbose.code == plain.code
    assert verbose.err.startswith("Traceback (most recent call last):")
    assert verbose.err.endswith(plain.err)


@pytest.mark.parametrize("command", ["retrain", "intake", "watch", "inspect"])
def test_without_any_services_the_command_that_starts_them_is_named(
    tmp_path: Path, alone: dict[str, str], command: str
) -> None:
    line = write_line(tmp_path / "line.toml", "alone")
    said = run_fresh(command, "--line", str(line), "--source", str(tmp_path), "--format", "coco", cwd=tmp_path, **alone)
    assert said.code == ConfigError.exit_code
    assert "WAFERGATE_DATABASE_URL" in said.sentence
    assert said.sentence.startswith("start the services with `wafergate up`")
