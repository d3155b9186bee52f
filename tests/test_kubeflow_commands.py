"""The commands of `mnist-tfx kubeflow`: what they refuse, before anything heavy is imported."""

import pathlib

import pytest
from click.testing import CliRunner, Result

from components import data
from pipeline.cli import main
from pipeline.kubeflow import run_local
from pipeline.kubeflow.commands import kubeflow
from pipeline.workdir import Workdir, locked


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["kubeflow", *map(str, words)])


def test_the_group_has_its_three_commands() -> None:
    assert sorted(kubeflow.commands) == ["compile", "run-local", "submit"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compile", "--models", "lenet"), "expected --models with names of sequential"),
        (("compile", "--node-beam-args", "StatisticsGen"), "expected NODE=ARGS"),
        (("run-local", "-P", "images"), "expected -P with name=value; got 'images'"),
        (("run-local", "--file", "nothing.yaml"), "expected a compiled pipeline at nothing.yaml"),
    ],
)
def test_a_wrong_call_is_refused_in_words(
    tmp_path: pathlib.Path, words: tuple[str, ...], said: str
) -> None:
    where = ("--workdir", tmp_path) if words[0] == "run-local" else ("--output", tmp_path / "x")
    done = call(*words, *where)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert not (tmp_path / "x").exists()


def test_data_on_this_machine_is_known_by_its_content() -> None:
    given = {"data": data.PACKAGED, "data_sha256": "", "epochs": 1}
    digest = data.summarize(data.PACKAGED).sha256
    assert run_local._with_digest(given) == {**given, "data_sha256": digest}
    for kept in ({**given, "data_sha256": "a"}, {**given, "data": ""}, {"data": "x"}):
        assert run_local._with_digest(kept) == kept


def test_the_reason_why_nothing_was_compiled_is_shown(tmp_path: pathlib.Path) -> None:
    done = call("run-local", "--models", "lenet", "--workdir", tmp_path)
    assert done.exit_code == 2
    assert "got 'lenet'" in done.output


def test_one_run_at_a_time_uses_a_workdir(tmp_path: pathlib.Path) -> None:
    with locked(Workdir.at(tmp_path)):
        done = call("run-local", "--file", "any.yaml", "--workdir", tmp_path)
    assert done.exit_code == 2
    assert "in use by another run" in done.output


def test_a_parameter_that_the_file_lacks_is_refused(tmp_path: pathlib.Path) -> None:
    file = pathlib.Path(__file__).resolve().parents[1] / "kubeflow" / "mnist.yaml"
    done = call("run-local", "--file", file, "-P", "batch=3", "--workdir", tmp_path)
    assert done.exit_code == 2, done.output
    assert "expected a parameter of the pipeline" in done.output
    assert "got 'batch'" in done.output
