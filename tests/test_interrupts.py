"""SIGTERM ends a command as Ctrl-C does, and the job that an engine runs for it."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineRunner

from pipeline.interrupts import interrupted_by_sigterm, jobs_ended_by_interrupts


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def interrupt() -> None:
    raise KeyboardInterrupt  # a shell's job in the background ignores the signal


class Job:
    """A job on an engine, which goes on until it is cancelled."""

    def __init__(self, while_waiting: Callable[[], None]) -> None:
        self.wait_until_finish, self.cancelled = while_waiting, False

    def cancel(self) -> None:
        self.cancelled = True


class Engine(PipelineRunner):
    def __init__(self, job: Job) -> None:
        self.job = job

    def run_pipeline(self, *_: Any, **__: Any) -> Any:
        return self.job


@pytest.mark.parametrize("happens", [terminate, interrupt])
def test_the_job_of_an_engine_is_cancelled(happens: Callable[[], None]) -> None:
    job, leave = Job(happens), beam.Pipeline.__exit__
    with (
        pytest.raises(KeyboardInterrupt),
        interrupted_by_sigterm(),
        jobs_ended_by_interrupts(),
        beam.Pipeline(runner=Engine(job)) as root,
    ):
        _ = root | beam.Create([1])
    assert job.cancelled
    assert beam.Pipeline.__exit__ is leave


def test_the_handler_is_the_one_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_leaves_handlers_alone() -> None:
    before, found = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with interrupted_by_sigterm():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]
