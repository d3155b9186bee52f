"""The process of this machine's part in a training, as the one that started it sees it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

from components.training.child import relay
from components.training.cluster.config import Cluster
from components.training.stopping import Stop

MEMBER = "components.training.cluster.member"
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_STOP = 25.0  # less than the 30 that Kubernetes gives


def take_part(
    role: str,
    cluster: Cluster,
    told: Mapping[str, Any],
    stop: Stop,
    seconds: float = SECONDS_TO_STOP,
) -> tuple[int, str]:
    """Runs this machine's part in a process of its own, which ends with this one.

    Args:
      told: see `components.training.cluster.member.take_part`.
      stop: is passed on as SIGTERM.
      seconds: after that, until the process is killed.

    Returns:
      The exit code, negative for a signal, and the reason where it is not 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        fault = pathlib.Path(folder) / "fault"
        process = _start(role, cluster, {**told, "fault": str(fault)})
        threading.Thread(target=relay, args=(process.stdout,), daemon=True).start()
        try:
            code = _wait(process, stop, seconds)
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        words = fault.read_text() if fault.exists() else _how_it_ended(code)
    return code, words


def _start(role: str, cluster: Cluster, told: Mapping[str, Any]) -> subprocess.Popen[str]:
    hosts = ",".join(address.rpartition(":")[0] for address in cluster.addresses)
    return subprocess.Popen(
        # With -P the current folder is not searched for modules, as it is not here.
        [sys.executable, "-P", "-m", MEMBER, role, json.dumps(told)],
        stdin=subprocess.PIPE,  # never written to; the member ends when it is closed
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "no_grpc_proxy": hosts,  # gRPC would take a proxy that `http_proxy` names
        },
        start_new_session=True,  # Ctrl-C goes to this process alone, which then ends the other
    )


def _wait(process: subprocess.Popen[str], stop: Stop, seconds: float) -> int:
    """Returns the exit code; passes a stop on, and kills what does not obey it."""
    until = None
    while (code := process.poll()) is None:
        if stop.asked and until is None:
            process.send_signal(signal.SIGTERM)
            until = time.monotonic() + seconds
        if until and time.monotonic() > until:
            process.kill()
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return code


def _how_it_ended(code: int) -> str:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return (
        f"expected the training's process to end well; it ended by {how}: its own words are in "
        "the log, and the same command goes on from the last checkpoint"
    )
