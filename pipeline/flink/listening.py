"""Who listens where on this machine, and whether it is Flink."""

import contextlib
import json
import socket
import urllib.request
from typing import Any

from pipeline.flink.settings import HOST


def overview(address: str, seconds: float = 3.0) -> dict[str, Any]:
    """Asks Flink at HOST:PORT how it is: slots, task managers, `flink-version`.

    Raises:
      OSError: nothing answers there.
      ValueError: what answers is no Flink.
    """
    with urllib.request.urlopen(f"http://{address}/overview", timeout=seconds) as answer:
        found = json.load(answer)
    if not isinstance(found, dict) or "flink-version" not in found:
        raise ValueError("the answer names no flink-version")
    return found


def answers(host: str, port: int, seconds: float = 3.0) -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=seconds):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Returns ports that nothing listens on now, each another one."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
