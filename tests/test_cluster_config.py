"""What TF_CONFIG may say, and what is said where it, or what it names, is not as it must be."""

import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from components.training.cluster import chief, config
from components.training.cluster.config import BadCluster, Cluster, as_chief, as_worker, cluster_of
from components.training.cluster.worker import check_port
from components.training.stopping import Stop, TrainingStopped
from pipeline.cli import main
from pipeline.options import Options, check
from pipeline.screen import Screen
from pipeline.wrong_call import WrongCall

TWO = ["a:2222", "b:2222"]


def said(cluster: Any, task: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def worker(index: Any, addresses: Any = TWO) -> dict[str, str]:
    return said({"worker": addresses}, {"type": "worker", "index": index})


def test_the_worker_0_is_the_chief_where_no_task_is() -> None:
    assert cluster_of(worker(0)) == Cluster(("a:2222", "b:2222"), 0)
    assert as_chief(worker(0)).workers == ("b:2222",)
    assert as_worker(worker(1)).place == 1


def test_a_chief_of_its_own_kind_comes_before_the_workers() -> None:
    cluster = {"chief": ["c:1"], "worker": TWO}
    found = as_worker(said(cluster, {"type": "worker", "index": 0}))
    assert found == Cluster(("c:1", "a:2222", "b:2222"), 1, chiefs=1)
    assert [found.place_of("chief", 0), found.place_of("worker", 1)] == [0, 2]
    assert as_chief(said(cluster, {"type": "chief", "index": 0})).workers == ("a:2222", "b:2222")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "expected the variable TF_CONFIG to name the machines; set it: {"),
        ({"TF_CONFIG": "{"}, "got '{': Expecting property name"),
        ({"TF_CONFIG": "{}"}, "got '{}': it has no 'cluster'"),
        ({"TF_CONFIG": "[]"}, "got '[]': list indices must be integers"),
        (said({"worker": TWO}, {"type": "worker"}), "it has no 'index'"),
        (worker(2), "the cluster has no task worker 2"),
        (worker(-1), "the cluster has no task worker -1"),
        (worker("0"), "the cluster has no task worker 0"),
        (said({"worker": TWO}, {"type": "ps", "index": 0}), "the cluster has no task ps 0"),
        (said({"ps": TWO}, {"type": "ps", "index": 0}), "a cluster of chief and workers has no ps"),
        (worker(0, ["a:1"]), "at least two machines are needed"),
        (worker(0, ["a:1", "a:1"]), "each with an address of its own"),
        (worker(0, ["a", "b:1"]), "'a' is not host:port"),
        (worker(0, ["a:1", "b:70000"]), "'b:70000' is not host:port"),
        (worker(0, 5), "got '{"),
    ],
)
def test_a_wrong_config_is_one_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadCluster, match=re.escape(words)) as raised:
        cluster_of(environment)
    assert str(raised.value).startswith("expected ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("ask", "place", "words"),
    [
        (as_chief, 1, "it is b:2222: run `mnist-tfx worker` here"),
        (as_worker, 0, "run `mnist-tfx run --devices multi-worker` here"),
    ],
)
def test_each_command_is_for_one_kind_of_machine(
    ask: Callable[..., Cluster], place: int, words: str
) -> None:
    with pytest.raises(BadCluster, match=re.escape(words)):
        ask(worker(place))


def test_a_run_without_the_machines_it_is_to_use_is_a_wrong_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(config.TF_CONFIG, raising=False)
    options = Options("smoke", None, Path(), "", "local", None, False, (), devices="multi-worker")
    with pytest.raises(WrongCall, match="expected the variable TF_CONFIG"):
        check(options)


def test_devices_that_nobody_knows_are_a_wrong_call() -> None:
    done = CliRunner().invoke(main, ["run", "--devices", "two"])
    assert done.exit_code == 2
    assert "'two' is not one of 'auto', 'one', 'mirrored', 'multi-worker'" in done.output


def test_a_worker_without_a_config_ends_with_one_sentence() -> None:
    done = CliRunner().invoke(main, ["worker"], env={config.TF_CONFIG: None})
    assert done.exit_code == 2
    assert done.output.startswith("expected the variable TF_CONFIG to name the machines")
    assert done.output.count("\n") == 1


def test_a_worker_whose_port_is_taken_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadCluster, match=f"the port of {address} to be free; it is not"):
            check_port(Cluster(("a:1", address), 1))


def test_a_chief_that_waits_says_so_on_the_screen() -> None:
    shown = io.StringIO()
    with socket.socket() as not_there:
        not_there.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{not_there.getsockname()[1]}"
        with Screen(Console(file=shown)).listening(), pytest.raises(chief.TrainingBroken):
            chief.wait_for([address], Stop(), seconds=0)
    assert shown.getvalue() == f"       waiting for the workers at {address}\n"


def test_a_chief_names_the_workers_that_do_not_come() -> None:
    with socket.socket() as there, socket.socket() as not_there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        not_there.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (there, not_there)]
        chief.wait_for(addresses[:1], Stop(), seconds=0)
        words = f"listens at {addresses[1]}: start `mnist-tfx worker` there"
        with pytest.raises(chief.TrainingBroken, match=words):
            chief.wait_for(addresses, Stop(), seconds=0)
        stop = Stop()
        stop.ask()
        with pytest.raises(TrainingStopped, match="while waiting for the workers"):
            chief.wait_for(addresses, stop)
