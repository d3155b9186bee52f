"""Waiting for a run's end, and what is said about a run that failed."""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from pipeline.kubeflow.submit_faults import ServerError
from pipeline.kubeflow.submit_server import Server

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
ENDS = (SUCCEEDED, FAILED, "SKIPPED", "CANCELED")
PATIENCE_SECONDS = 300.0  # a forwarded port that broke is soon forwarded again


def wait_for_end(
    server: Server, run: str, say: Callable[[str], None], timeout: float | None, poll: float
) -> Any:
    """Returns the run (`V2beta1Run`) when it has ended, and says its states on the way.

    A server that does not answer for less than five minutes is waited for.

    Args:
      run: its ID.
      timeout: seconds; None waits for any time.
      poll: seconds between two looks.

    Raises:
      ServerError: it was not seen to end; it goes on.
    """
    begun = answered = time.monotonic()
    state = ""
    while True:
        try:
            seen = server.run(run)
            answered = time.monotonic()
        except ServerError as error:
            if not error.passing or time.monotonic() - answered > PATIENCE_SECONDS:
                raise ServerError(f"{error}; the run goes on: {server.address(run)}") from error
        else:
            if seen.state and seen.state != state:
                state = seen.state
                say(f"{time.monotonic() - begun:6.0f} s  {state}")
            if state in ENDS:
                return seen
        left = poll if timeout is None else begun + timeout - time.monotonic()
        if left <= 0:
            words = f"the run had not ended after {timeout:g} s ({state or 'state unknown'})"
            raise ServerError(f"{words}; it goes on: {server.address(run)}")
        time.sleep(min(poll, left))


def failures(run: Any, tasks: Collection[str]) -> list[str]:
    """Returns a line for each task of a run (`V2beta1Run`) that failed.

    KFP lists drivers, launchers and the graph itself too; they are left out where a task is known.

    Args:
      tasks: the names of the pipeline's tasks.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    failed = [detail for detail in details if detail.state == FAILED]
    ours = [detail for detail in failed if detail.display_name in tasks]
    lines = [": ".join(_words(detail)) for detail in ours or failed]
    if run.error and run.error.message:
        lines.append(run.error.message)
    return lines


def _words(detail: Any) -> Iterator[str]:
    yield detail.display_name or detail.task_id or "a task without a name"
    if detail.error and detail.error.message:
        yield detail.error.message


def where_to_look(run: str, namespace: str | None) -> str:
    """Returns the command that shows the logs of a run's pods, by the label that KFP gives them."""
    place = namespace or "kubeflow"
    return f"kubectl logs -n {place} -l pipeline/runid={run} -c main --prefix --tail 40"
