"""What this pipeline pushed, and whether somebody else changed the served folder since."""

import json

from components import versions
from pipeline.workdir import Workdir, write_json


def served_state(workdir: Workdir) -> str:
    """Returns a word that changes when the served folder was changed by somebody else.

    The newest version that this pipeline pushed leaves the word as it was for the run that pushed
    it, so that a run with nothing changed finds everything in the cache.
    """
    newest = versions.latest(workdir.serving)
    pushes = _read(workdir)
    last = max(map(int, pushes), default=0)
    if newest < last:
        return f"back to {newest} after {last}"
    return str(pushes.get(str(newest), newest))


def remember(workdir: Workdir, version: int, state: str) -> None:
    """Notes which state of the served folder led to a version."""
    write_json(workdir.pushes, {**_read(workdir), str(version): state})


def _read(workdir: Workdir) -> dict[str, str]:
    """Returns what was noted; a file that cannot be read counts as empty."""
    try:
        pushes: dict[str, str] = json.loads(workdir.pushes.read_text())
    except (OSError, ValueError):
        return {}
    return pushes if isinstance(pushes, dict) else {}
