"""The argument files of the documentation are read by the program and say what is true of it."""

import pathlib

import pytest

from pipeline import engines
from pipeline.flink.versions import PINNED
from pipeline.wrong_call import WrongCall

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def arguments(name: str) -> list[str]:
    lines = (DOCS / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_arguments_for_spark_are_understood_and_the_job_server_is_looked_for() -> None:
    found = arguments("spark.args")
    assert engines.complete(found) == found
    elsewhere = [a.replace("127.0.0.1:8099", "127.0.0.1:1") for a in found]
    with pytest.raises(WrongCall, match="expected a Beam job server at --job_endpoint=127.0.0.1:1"):
        engines.check(elsewhere)


def test_arguments_for_dataflow_need_nothing_on_this_machine() -> None:
    found = arguments("dataflow.args")
    engines.check(found)
    assert engines.complete(found) == found


def test_arguments_are_one_a_line_without_blanks() -> None:
    for name in ("spark.args", "dataflow.args"):
        assert all(a.startswith("--") and len(a.split()) == 1 for a in arguments(name))


def test_the_releases_of_the_documentation_are_those_that_are_pinned() -> None:
    text = (DOCS / "flink.md").read_text()
    for name, release in (
        ("apache-beam (Python)", PINNED.beam),
        (f"beam-runners-flink-{PINNED.flink_minor}", PINNED.runner),
        ("beam-runners-java-job-service", PINNED.job_service),
        ("Flink", PINNED.flink),
    ):
        assert f"| {name} | {release} |" in text
