"""What a runner tells of its nodes; nothing heavy is imported."""

import dataclasses
from collections.abc import Callable
from typing import Literal

State = Literal["running", "done", "cached", "failed"]


@dataclasses.dataclass(frozen=True)
class NodeEvent:
    """A node began or ended; `outputs` are URIs by key, `seconds` since it began."""

    node: str
    state: State
    seconds: float = 0.0
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    error: str = ""


class NodeFailed(RuntimeError):
    """A node failed; the cause is chained."""

    def __init__(self, node: str, cause: BaseException | str) -> None:
        """Names the node."""
        super().__init__(f"{node} failed: {cause}")
        self.node = node


Listener = Callable[[NodeEvent], None]
