"""The command `lineage`: what made a version, as text or as JSON."""

import json
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from components.report.intervals import share_with_interval
from pipeline.conclusion import PUSHED, WRONG_CALL
from pipeline.workdir import Workdir
from pipeline.wrong_call import WrongCall

Json = Mapping[str, Any]


def show_lineage(path: pathlib.Path, version: int | None, as_json: bool) -> int:
    """Prints where a version came from; returns the exit code.

    Args:
      version: or None for the one that serves.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        found = find(Workdir.at(path), version)
    except (WrongCall, LookupError) as error:
        console.print(str(error))
        return WRONG_CALL
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        for line in lines(found):
            console.print(line)
    return PUSHED


def find(workdir: Workdir, version: int | None) -> dict[str, Any]:
    """Returns the lineage of a version, or of the one that serves.

    Raises:
      WrongCall: nothing serves, or there is no ML Metadata of this version.
      LookupError: the version is not in it.
    """
    from serving import model_config

    try:
        wanted = version or model_config.served_version(workdir.serving)
    except model_config.ConfigError as error:
        raise WrongCall(f"{error}: mend it, or name a version") from error
    if not wanted:
        raise WrongCall(
            f"expected a version that serves in {workdir.serving}; there is none: "
            "run `mnist-tfx run` first, or name one"
        )
    if not workdir.metadata.is_file():
        raise WrongCall(
            f"expected ML Metadata in {workdir.metadata}; there is none: this workdir holds no "
            "run of `mnist-tfx run` (Kubeflow keeps its own, in the cluster)"
        )
    from pipeline import lineage, store

    try:
        return lineage.lineage_of(store.connect_to_read(workdir.metadata), wanted)
    except store.UNREADABLE as error:
        raise WrongCall(
            f"expected ML Metadata of this version in {workdir.metadata}; it says: {error}"
        ) from error


def lines(found: Json) -> Iterator[str]:
    """Yields the lineage as text."""
    yield f"version {found['version']}, pushed {found['pushed']}"
    yield f"model: {_model(found)}"
    if found["reason"]:
        yield f"chosen: {found['reason']}"
    data = found["data"]
    counts = ", ".join(f"{data[name]:,} {name}" for name in ("train", "eval", "test") if data)
    yield f"data: {data.get('sha256', 'not on record')} ({counts or 'no counts on record'})"
    yield f"hyperparameters: {_pairs(found['hyperparameters'])}"
    yield f"evaluation: {_evaluation(found['evaluation'])}"
    yield from _block("trials", [_trial(trial) for trial in found["trials"]])
    others = [f"{o['name']} ({o['status']}): {o['reason']}" for o in found["compared_with"]]
    yield from _block("compared with", others)
    yield from _block("made by, from first to last", [_node(node) for node in found["nodes"]])
    yield from (f"missing: {words}" for words in found["missing"])


def _block(title: str, rows: list[str]) -> Iterator[str]:
    yield f"{title}:" if rows else f"{title}: none on record"
    yield from (f"  {row}" for row in rows)


def _model(found: Json) -> str:
    training = found["training"]
    if not training:
        return found["model"] or "not on record"
    shape = "x".join(map(str, training.get("input_shape", ())))
    images, epochs = training.get("train_images", "?"), training.get("epochs", "?")
    return f"{found['model']}, input {shape}, {images} images x {epochs} epochs"


def _pairs(values: Json) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in values.items()) or "not on record"


def _evaluation(values: Json) -> str:
    parts = [
        f"{share_with_interval(values[f'{split}_accuracy'], values.get(f'{split}_images'))} "
        f"on {split}"
        for split in ("eval", "test")
        if values.get(f"{split}_accuracy") is not None
    ]
    return ", ".join(parts) or "not on record"


def _trial(trial: Json) -> str:
    status = str(trial.get("status", "unknown")).lower()
    accuracy = trial.get("val_accuracy")
    score = "" if accuracy is None else f", {accuracy:.2%} on eval"
    numbers = {k: trial[k] for k in ("batch_size", "learning_rate") if k in trial}
    return f"{trial.get('trial_id', '?')}: {_pairs(numbers)}, {status}{score}"


def _node(node: Json) -> str:
    outputs = ", ".join(f"{o['key']} {o['artifact']}" for o in node["outputs"])
    code = f", code {node['code']}" if node["code"] else ""
    return f"{node['node']}: execution {node['execution']}, {node['finished']}{code} -> {outputs}"
