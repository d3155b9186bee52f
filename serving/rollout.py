"""Brings a new `models.config` into force, in two steps where a server runs.

TF Serving refuses to move a label to a version that it has not loaded, even with
`--allow_version_labels_for_unavailable_models`, which admits new labels alone (`ServerCore::
UpdateModelVersionLabelMap`). So the versions are loaded beside the old ones first, and the labels
move when they are there. It also means that a version which cannot be loaded changes nothing.
"""

import contextlib
import dataclasses
import time
from collections.abc import Sequence

from serving import model_config, server_state, version_folder
from serving.model_config import ModelConfig, Policy
from serving.server_state import Server

NOTICE_SECONDS = 5.0  # five looks of a server at its configuration
LOAD_SECONDS = 120.0
PAUSE = 0.1
ENDED = "END"


class Overtaken(RuntimeError):
    """Another command changed the configuration while a version was being loaded for this one."""


class NotLoaded(RuntimeError):
    """A running server could not load a version; what served before serves on."""


def switch(target: ModelConfig, server: Server) -> bool:
    """Makes a configuration hold; returns whether a server has loaded what it wants.

    Where none answers, or none that looks at this folder, the file alone is written.

    Raises:
      ConfigError: the file that is there is wrong.
      NotLoaded: with the server's reason; the file says what it said before.
      Overtaken: another command came between; what it wrote holds.
    """
    complete = version_folder.complete_versions(target.base_path)
    before = model_config.config_of(target.base_path)
    loaded, wanted = before.policy.wanted(complete), target.policy.wanted(complete)
    running = server_state.version_states(server, target.name) is not None
    if running and not set(wanted) <= set(loaded) and target.labels:
        policy = Policy("specific", versions=tuple(sorted({*loaded, *wanted})))
        both = dataclasses.replace(before, policy=policy)
        _load_first(both, before, wanted, server)
        _replace(both, target)
    else:
        model_config.put(target)
    states = server_state.version_states(server, target.name) or {}
    return all(v in states and states[v].state == server_state.AVAILABLE for v in wanted)


def _load_first(
    both: ModelConfig, before: ModelConfig, wanted: Sequence[int], server: Server
) -> None:
    """Lets a server load what is wanted beside what it has; if it cannot, `before` holds again."""
    model_config.put(both)
    try:
        for version in wanted:
            _await(server, both.name, version)
    except BaseException:
        with contextlib.suppress(Overtaken):
            _replace(both, before)
        raise


def _replace(held: ModelConfig, by: ModelConfig) -> None:
    """Replaces an entry if it is still what was written here.

    Raises:
      Overtaken: it is not.
    """

    def change(configs: Sequence[ModelConfig]) -> tuple[ModelConfig, ...]:
        if held not in configs:
            raise Overtaken(
                f"another command changed what {held.name} serves meanwhile; that holds: see "
                "`mnist-tfx versions`"
            )
        return tuple(by if config == held else config for config in configs)

    model_config.update(model_config.file_of(held.base_path), change)


def _await(server: Server, model: str, version: int) -> None:
    """Waits until a server has loaded a version, or plainly does not look at it."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < LOAD_SECONDS:
        found = (server_state.version_states(server, model) or {}).get(version)
        if found and found.state == server_state.AVAILABLE:
            return
        if found and found.error:
            raise NotLoaded(f"{model} {version} cannot be served: {found.error}")
        if (not found or found.state == ENDED) and waited > NOTICE_SECONDS:
            return
        time.sleep(PAUSE)
    raise NotLoaded(f"{model} {version} was not loaded within {LOAD_SECONDS:.0f} s")
