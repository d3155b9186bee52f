"""Trials over worker processes: the same trials as in one process, whoever dies meanwhile."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import ANY

import keras_tuner
import psutil
import pytest
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.settings import ModelSettings, TuneSettings
from components.training.stopping import Stop, TrainingStopped
from components.training.user_log import LOGGER
from components.tuning import parallel
from components.tuning.component import trials_of, tune_args
from components.tuning.hypermodel import OBJECTIVE
from components.tuning.processes import Worker, WorkerDied, run_workers
from components.tuning.results import read_trials
from components.tuning.run import tuner_fn
from components.tuning.worker import send_messages
from pipeline import plan, profiles
from pipeline.options import Options, check
from pipeline.settings import model_nodes
from pipeline.workdir import Workdir
from pipeline.wrong_call import WrongCall
from tests.ended import ended
from tests.tuner_node import run_node, told, write_examples

pytestmark = pytest.mark.slow

TRIALS = 4  # as many as are drawn at random, so before results decide what is tried next
SECONDS = 240  # for a worker to come up on a busy machine

NETWORK = '''
"""A small network; its building, which is in the middle of a trial, may end in other ways."""

import os
import pathlib
import signal
import time

import keras

from components.models.compiling import compile_classifier

STEPS_PER_EXECUTION = 1
HERE = pathlib.Path(__file__).parent


def first() -> bool:
    """Returns whether nobody asked before."""
    try:
        (HERE / "asked").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def build(hparams, input_shape):
    if "KERASTUNER_TUNER_ID" in os.environ:
        {fate}
    flat = [keras.layers.Input(input_shape), keras.layers.Flatten()]
    top = keras.layers.Dense(10, activation="softmax", dtype="float32")
    return compile_classifier(keras.Sequential([*flat, top]), hparams)
'''
DIES_ONCE = "first() and os.kill(os.getpid(), signal.SIGKILL)"
HOLDS_ALL_BUT_ONE = "first() or ((HERE / f'holds-{os.getpid()}').touch(), time.sleep(600))"

Ask = Callable[..., FnArgs]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    """Examples with the splits `train` (48 digits) and `eval` (20)."""
    return write_examples(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def ask(
    examples: standard_artifacts.Examples,
    transform_output: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ask]:
    """What a search of so many trials is asked for, whose network meets such a fate in workers."""
    context = pytest.MonkeyPatch()

    def asked(trials: int, fate: str = "pass") -> FnArgs:
        folder = tmp_path_factory.mktemp("search")
        name = f"network_of_{folder.name}"
        (folder / f"{name}.py").write_text(NETWORK.replace("{fate}", fate))
        context.syspath_prepend(folder)
        settings = TuneSettings(
            model=ModelSettings("rows", name, (32, 32, 3), "float32", "constant", seed=5),
            images=48,
            eval_images=20,
            epochs=1,
            batch_sizes=(8, 16),
            learning_rates=(1e-3, 1e-1),
            trials=trials,
            state_dir=str(folder),
            code="",
        )
        return told(examples, transform_output, settings)

    yield asked
    context.undo()


@pytest.fixture(scope="module")
def alone(ask: Ask) -> list[dict[str, Any]]:
    """The trials of a search in this process."""
    tuner = tuner_fn(ask(TRIALS)).tuner
    tuner.search()
    return trials_of(tuner)


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    assert workers_of(psutil.Process()) == []


@pytest.fixture
def trained(caplog: pytest.LogCaptureFixture) -> Callable[[], set[int]]:
    """Returns a function that tells the numbers of the trials that reported progress here."""
    caplog.set_level("INFO", LOGGER.name)

    def numbers() -> set[int]:
        ours = [record.progress.what for record in caplog.records if record.name == LOGGER.name]
        return {int(what.split()[2]) for what in ours}

    return numbers


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [p for p in process.children(recursive=True) if "tuning.worker" in " ".join(p.cmdline())]


def found(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns trials as they compare: without times, and with as many right digits."""
    return [
        {
            **trial,
            "seconds": ANY,
            "val_accuracy": pytest.approx(trial["val_accuracy"], abs=1 / 60),
            "val_loss": pytest.approx(trial["val_loss"], rel=1e-3),
        }
        for trial in trials
    ]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def test_two_workers_find_the_trials_of_one_process(
    alone: list[dict[str, Any]],
    ask: Ask,
    examples: standard_artifacts.Examples,
    tmp_path: pathlib.Path,
    trained: Callable[[], set[int]],
) -> None:
    asked = ask(TRIALS)
    best, results = run_node(
        examples, asked, tmp_path, tune_args=proto_utils.proto_to_json(tune_args(2))
    )
    assert read_trials(results) == found(alone)
    assert trained() == {1, 2, 3, 4}
    assert list(best.iterdir())
    assert not list(pathlib.Path(asked.custom_config["state_dir"]).glob("rows-*"))


def test_the_trial_of_a_killed_worker_is_completed_by_its_successor(
    alone: list[dict[str, Any]], ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    asked = ask(2, DIES_ONCE)
    tuner = tuner_fn(asked).tuner
    parallel.search(tuner, asked, 2)
    assert trials_of(tuner) == found(alone[:2])
    assert (
        caplog.messages.count("worker-0 died by SIGKILL and is started again")
        + (caplog.messages.count("worker-1 died by SIGKILL and is started again"))
        == 1
    )


def test_a_trial_that_kills_its_workers_fails_alone(alone: list[dict[str, Any]], ask: Ask) -> None:
    asked = ask(2, DIES_ONCE)
    tuner = tuner_fn(asked).tuner
    parallel.search(tuner, asked, 1, deaths=1)
    failed, trained = trials_of(tuner)
    assert failed["status"] == "FAILED"
    assert failed["message"] == (
        "the processes that trained it died 1 times, at last by SIGKILL (SIGKILL: mostly because "
        "memory ran out)"
    )
    assert [trained] == found(alone[1:2])


def test_sigterm_ends_all_workers_and_keeps_what_they_completed(
    alone: list[dict[str, Any]], ask: Ask, trained: Callable[[], set[int]]
) -> None:
    asked = ask(3, HOLDS_ALL_BUT_ONE)
    folder = pathlib.Path(asked.custom_config["state_dir"])

    def stop() -> None:
        wait_for(lambda: len(list(folder.glob("holds-*"))) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=stop)
    watching.start()
    expected = "rows was stopped by SIGTERM; completed trials are kept: the same command goes on"
    with pytest.raises(TrainingStopped, match=f"^{expected}$"):
        parallel.search(tuner_fn(asked).tuner, asked, 2)
    watching.join()
    assert workers_of(psutil.Process()) == []
    assert len(trained()) == 1
    tuner = tuner_fn(asked).tuner
    tuner.search()
    assert trials_of(tuner) == found(alone[:3])


def test_a_search_that_is_done_starts_no_worker(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(1)
    tuner = tuner_fn(asked).tuner
    tuner.search()
    monkeypatch.setattr(Worker, "start", lambda self: pytest.fail("a worker was started"))
    parallel.search(tuner, asked, 2)


def test_a_worker_goes_with_a_chief_that_is_killed() -> None:
    program = (
        "import time; from components.tuning.processes import Worker; "
        "w = Worker('worker-0', {}, {}); w.start(); print(w.process.pid, flush=True); "
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
    wait_for(lambda: ended(worker))


def workers(folder: pathlib.Path, program: str) -> list[Worker]:
    """Returns two workers that run a small program in place of the real one."""
    package = folder / "components" / "tuning"
    package.mkdir(parents=True)
    (package / "worker.py").write_text(program)
    environment = {"PYTHONPATH": str(folder)}
    return [Worker(f"worker-{number}", {}, environment) for number in range(2)]


def test_a_worker_that_keeps_dying_fails_the_search_in_one_sentence(tmp_path: pathlib.Path) -> None:
    crew = workers(tmp_path, "import sys, time; time.sleep(0.2); sys.exit(7)")
    crew[0].deaths = -9
    expected = (
        "^expected worker-1 to train its trials; it died 3 times, at last by exit code 7: its own "
        "words are in the log; completed trials are kept, and fewer parallel trials need less "
        "memory$"
    )
    with pytest.raises(WorkerDied, match=expected):
        run_workers(crew, Stop())


def test_ctrl_c_ends_all_workers(tmp_path: pathlib.Path) -> None:
    crew = workers(tmp_path, "import time; time.sleep(60)")
    # A shell lets what it starts in the background ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_workers(crew, Stop())
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert [w.process.returncode for w in crew if w.process] == [-signal.SIGKILL] * 2


def test_the_chief_learns_why_a_trial_failed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = keras_tuner.oracles.RandomSearchOracle(OBJECTIVE, max_trials=1)
    oracle._set_project_dir(str(tmp_path), "search")
    from keras_tuner.src.distribute.oracle_client import OracleClient

    with parallel.chief(oracle) as port:
        for name, value in parallel._address(port).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker-0")
        client = OracleClient(oracle)
        send_messages(client)
        trial = client.create_trial("worker-0")
        trial.status, trial.message = (
            "FAILED",
            "Traceback\n  line\nFailedTrialError: no ½ measures\n",
        )
        client.end_trial(trial)
    assert oracle.trials["0"].message == "FailedTrialError: no ½ measures"


def test_workers_share_the_cores() -> None:
    assert (
        parallel.shares_of(2, [], cores=5)
        == [{"OMP_NUM_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}]
        * 2
    )
    assert parallel.shares_of(3, [], cores=2)[2]["OMP_NUM_THREADS"] == "1"


def test_each_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parallel.GPUS, raising=False)
    gpus = ["GPU:0", "GPU:1"]
    assert [s[parallel.GPUS] for s in parallel.shares_of(2, gpus, cores=8)] == ["0", "1"]
    monkeypatch.setenv(parallel.GPUS, "5,3")
    assert [s[parallel.GPUS] for s in parallel.shares_of(2, gpus, cores=8)] == ["5", "3"]
    expected = "expected at most 2 parallel trials, one for each GPU; got 3: two on a GPU run out"
    with pytest.raises(ValueError, match=expected):
        parallel.shares_of(3, gpus, cores=8)


def test_one_trial_at_a_time_asks_tfx_for_nothing() -> None:
    assert tune_args(1) is None
    asked = tune_args(3)
    assert asked
    assert asked.num_parallel_trials == 3


def test_fewer_than_one_trial_at_a_time_is_a_wrong_call() -> None:
    options = Options(
        profile="smoke",
        models=None,
        workdir=pathlib.Path(),
        data="",
        dag_runner="local",
        precision=None,
        no_tune=False,
        beam_args=(),
        parallel_trials=0,
    )
    with pytest.raises(WrongCall, match="^expected --parallel-trials of 1 or more; got 0$"):
        check(options)


def test_no_more_trials_at_a_time_than_a_search_has(tmp_path: pathlib.Path) -> None:
    smoke = profiles.PROFILES["smoke"]
    no_budget = plan.Plan(
        {"vgg16": plan.ModelPlan(smoke.of("vgg16").rungs[0], "float32", 0.0)}, None
    )
    nodes = model_nodes(smoke, no_budget, ["vgg16"], Workdir.at(tmp_path), None, 8)["vgg16"]
    assert nodes.tune
    assert nodes.parallel_trials == nodes.tune.trials < 8
