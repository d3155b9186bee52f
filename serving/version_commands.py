"""The commands `versions`, `promote` and `rollback`, on a folder and the file beside it."""

import pathlib
import sys
from collections.abc import Callable, Sequence

from serving import model_config, promotion, rollout, server_state, version_folder, version_table
from serving.model_config import ConfigError, ModelConfig
from serving.promotion import CANARY, STABLE, NoSuchVersion
from serving.rollout import NotLoaded, Overtaken
from serving.server_state import Server

LATEST = "latest"
HERE = Server("http://127.0.0.1:8501")
DONE, FAILED, WRONG_CALL = 0, 1, 2


def show_versions(base: pathlib.Path, server: Server = HERE) -> int:
    """Prints what is in the folder, what is to be served, and what a server says."""
    try:
        config = model_config.config_of(base)
    except ConfigError as error:
        return _fail(error, WRONG_CALL)
    states = server_state.version_states(server, config.name)
    print("\n".join(version_table.lines(base, config, states or {})))
    if states is None:
        print(f"No model server that knows {config.name} answers at {server.url}.")
    return DONE


def promote_version(
    base: pathlib.Path, version: str, label: str = STABLE, server: Server = HERE
) -> int:
    """Serves a version and stays there, tries it as canary, or follows the newest again.

    Args:
      base: the folder of versions.
      version: a number, or `latest`.
      label: `stable` or `canary`.
      server: is to have loaded it before the labels move.
    """
    if version == LATEST and label == STABLE:
        return _change(base, server, lambda config, _: promotion.following(config))
    if not version.isdecimal():
        words = f"expected a number for {label}, or `{LATEST}` without a label; got {version!r}"
        return _fail(words, WRONG_CALL)
    move = promotion.canary_at if label == CANARY else promotion.stable_at
    return _change(base, server, lambda config, complete: move(config, complete, int(version)))


def roll_back(base: pathlib.Path, server: Server = HERE) -> int:
    """Serves the version before the one that serves now, and stays there."""
    return _change(base, server, promotion.rolled_back)


def _change(
    base: pathlib.Path, server: Server, change: Callable[[ModelConfig, Sequence[int]], ModelConfig]
) -> int:
    if not base.is_dir():
        return _fail(f"expected versions in {base}; `mnist-tfx run` pushes one", WRONG_CALL)
    try:
        complete = version_folder.complete_versions(base)
        target = change(model_config.config_of(base), complete)
        loaded = rollout.switch(target, server)
    except (NoSuchVersion, ConfigError) as error:
        return _fail(error, WRONG_CALL)
    except Overtaken as error:
        return _fail(error, FAILED)
    except (NotLoaded, OSError) as error:
        return _fail(f"{error}\n{base} is served as before.", FAILED)
    print("\n".join(_words(target, promotion.serving_now(target, complete))))
    print(
        f"The server at {server.url} has loaded what that takes."
        if loaded
        else "A server that runs takes it over within seconds; one that starts, at once."
    )
    return DONE


def _words(config: ModelConfig, now: int) -> list[str]:
    if config.policy.kind == LATEST:
        return [f"{config.name}: the newest version serves, now {now or 'none'}; no labels."]
    stable, canary = config.labels[STABLE], config.labels.get(CANARY)
    if canary is None:
        return [f"{config.name}: {stable} serves and is {STABLE}; newer versions wait."]
    return [
        f"{config.name}: {stable} is {STABLE}, {canary} is {CANARY}; newer versions wait.",
        f"Requests without a label reach {now}, the larger number; "
        f"/v1/models/{config.name}/labels/{STABLE} and .../{CANARY} reach each.",
    ]


def _fail(words: object, code: int) -> int:
    print(words, file=sys.stderr)
    return code
