"""Runs a pipeline on TFX's LocalDagRunner or BeamDagRunner and tells a listener of each node."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.portable import launcher

from pipeline.beam_arguments import IN_MEMORY
from pipeline.beam_jobs import in_words
from pipeline.events import Listener, NodeEvent, NodeFailed, State
from pipeline.interrupts import jobs_ended_by_interrupts

RUNNERS = {"local": LocalDagRunner, "beam": BeamDagRunner}


def run(pipeline: tfx_pipeline.Pipeline, dag_runner: str, listener: Listener) -> None:
    """Runs every node in order.

    Args:
      dag_runner: `local` or `beam`.
      listener: called when a node begins and when it ends.

    Raises:
      NodeFailed: the first node that failed; the nodes after it did not run.
      KeyboardInterrupt: as it came; no job of an engine goes on.
    """
    failures: list[NodeFailed] = []
    with _listening(listener, failures), _own_arguments(), jobs_ended_by_interrupts():
        try:
            RUNNERS[dag_runner]().run(pipeline)
        except Exception as error:
            if failures:
                raise failures[0] from error
            raise


@contextmanager
def _listening(listener: Listener, failures: list[NodeFailed]) -> Iterator[None]:
    """Makes TFX launch nodes through a launcher that reports; neither runner has a hook for it."""

    class Reporting(launcher.Launcher):
        def launch(self) -> Any:
            return _launch(self, super().launch, listener, failures)

        def _prepare_execution(self) -> Any:
            self.prepared = super()._prepare_execution()
            return self.prepared

    with mock.patch.object(launcher, "Launcher", Reporting):
        yield


def _launch(
    node_launcher: Any,
    launch: Callable[[], Any],
    listener: Listener,
    failures: list[NodeFailed],
) -> Any:
    node = node_launcher._pipeline_node.node_info.id
    begun = time.monotonic()
    listener(NodeEvent(node, "running"))
    try:
        info = launch()
        prepared = node_launcher.prepared
        if not prepared.is_execution_needed and prepared.execution_metadata is None:
            raise RuntimeError("its inputs are not there; see the log")
    except Exception as error:
        words = in_words(error)
        failures.append(NodeFailed(node, words))
        listener(NodeEvent(node, "failed", time.monotonic() - begun, error=words))
        raise
    state: State = "done" if prepared.is_execution_needed else "cached"
    outputs = {k: a[0].uri for k, a in (info.output_dict or {}).items() if a}
    listener(NodeEvent(node, state, time.monotonic() - begun, outputs))
    return info


@contextmanager
def _own_arguments() -> Iterator[None]:
    """Hides this program's arguments: BeamDagRunner's own pipeline reads `sys.argv`.

    It would take the user's Beam arguments, which are meant for the nodes, and without any it may
    hand the graph to Prism, a runner that Beam downloads.
    """
    with mock.patch.object(sys, "argv", [sys.argv[0], *IN_MEMORY]):
        yield
