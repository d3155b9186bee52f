"""What this pipeline pushed, what serves, and whether somebody else changed the folder since."""

import json
import pathlib

from components import versions
from pipeline.workdir import Workdir, write_json
from pipeline.wrong_call import WrongCall


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


def pinned(serving: pathlib.Path) -> str:
    """Returns the version that `promote` or `rollback` pinned, 0 if it is gone; else nothing.

    Args:
      serving: the folder of versions.

    Raises:
      WrongCall: the file that says so is wrong.
    """
    from serving import model_config

    try:
        if model_config.config_of(serving).policy.kind != "specific":
            return ""
        return str(model_config.served_version(serving))
    except model_config.ConfigError as error:
        raise WrongCall(f"{error}: mend it or remove it") from error


def words_on_serving(workdir: Workdir, pushed: int) -> list[str]:
    """Returns what to tell of the served folder at the end of a run that pushed a version."""
    from serving import model_config

    served = model_config.served_version(workdir.serving)
    where = f"served:  {workdir.serving / str(served) if served else 'nothing'}"
    if served == pushed:
        return [where]
    words = [f"pushed:  {workdir.serving / str(pushed)}", where]
    if pinned(workdir.serving):
        words.append(
            f"The folder is pinned, so the pushed version does not serve: `mnist-tfx promote "
            f"{pushed} --workdir {workdir.root}` serves it, `promote latest` whatever is pushed."
        )
    return words


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
