"""The command `serve`: which options the servers get for a workdir, and what it refuses."""

from pathlib import Path

import pytest

from pipeline.serve import serve_with, workdir_options
from pipeline.workdir import Workdir
from serving import model_config
from serving.model_config import ModelConfig, Policy


def test_a_workdir_is_served_under_its_name_with_the_contract(tmp_path: Path) -> None:
    serving = Workdir.at(tmp_path).serving
    options = workdir_options(Workdir.at(tmp_path))
    assert options[:4] == ("--model-name", "mnist", "--model-base-path", str(serving))
    assert options[4:] == (
        "--model-config-file",
        str(serving.parent / "models.config"),
        "--digit-contract",
    )
    assert not (serving.parent / "models.config").exists(), "to serve changes nothing"


def test_the_configuration_of_a_workdir_that_was_moved_names_the_new_place(tmp_path: Path) -> None:
    old, new = (Workdir.at(tmp_path / name).serving for name in ("old", "new"))
    old.mkdir(parents=True)
    pinned = Policy("specific", versions=(1,))
    model_config.put(ModelConfig(old.name, old.absolute(), pinned, {"stable": 1}))
    (tmp_path / "old").rename(tmp_path / "new")
    workdir_options(Workdir.at(tmp_path / "new"))
    (found,) = model_config.read(model_config.file_of(new))
    assert (found.base_path, found.policy, found.labels) == (new, pinned, {"stable": 1})


@pytest.mark.parametrize("engine", ["embedded", "tf-serving"])
def test_a_damaged_configuration_is_named(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = model_config.file_of(Workdir.at(tmp_path).serving)
    file.parent.mkdir(parents=True)
    file.write_text("no configuration")
    assert serve_with(tmp_path, engine, ()) == 2
    assert f"{file}: expected a ModelServerConfig in text form" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["embedded", "tf-serving"])
def test_help_lists_the_server_s_options(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve_with(tmp_path, engine, ("--help",)) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: mnist-tfx serve")
    assert "--max-body-bytes" in out


@pytest.mark.parametrize(
    ("engine", "arguments", "words"),
    [
        ("embedded", ("--prot", "1"), "No such option"),
        ("embedded", ("--model-name", "a"), "got 1 and 0"),
        ("tf-serving", ("--model-name", "a", "--model-base-path", "b"), "to serve a workdir"),
        ("tf-serving", ("--token-file", "t", "--max-queue", "2"), "got --token-file, --max-queue"),
        ("tf-serving", ("--host", "0.0.0.0"), "--port and --grpc-port alone; got --host"),
        ("tf-serving", ("--port", "9000"), "expected a version in"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_why(
    engine: str,
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert serve_with(tmp_path, engine, arguments) == 2
    assert words in capsys.readouterr().err
