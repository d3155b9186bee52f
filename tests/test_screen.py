"""What a run shows on a terminal: one live line, whoever writes it, and what stays."""

import io
import re
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from pipeline.events import NodeEvent
from pipeline.screen import Screen

TASKS, TURNS = 8, 25


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can, as they would on many cores."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def event(node: str, state: str) -> NodeEvent:
    return NodeEvent(node, state, 1.0, {"model": f"/w/{node}/model/7"})


def on_terminal() -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    return Screen(Console(file=output, force_terminal=True, width=100)), output


@pytest.mark.usefixtures("hasty_threads")
def test_tasks_side_by_side_share_the_one_live_line() -> None:
    screen, output = on_terminal()
    together, faults = threading.Barrier(TASKS), []

    def task(name: str) -> None:
        try:
            for turn in range(TURNS):
                together.wait()
                screen.on_node(event(f"{name}.{turn}", "running"))
                screen.show_progress(f"{name} trains", worth_a_line=False)
                screen.on_node(event(f"{name}.{turn}", "done"))
        except Exception as error:
            faults.append(error)
            together.abort()

    tasks = [threading.Thread(target=task, args=(f"t{number}",)) for number in range(TASKS)]
    for each in tasks:
        each.start()
    for each in tasks:
        each.join()
    assert faults == []
    assert len(screen.done) == TASKS * TURNS
    shown = re.findall(r"done\s.*?(t\d\.\d+) +1\.0 s  model/7", output.getvalue())
    assert sorted(shown) == sorted(screen.done)
    with screen.listening():
        screen.on_node(event("last", "running"))  # no line of the others is live any more
