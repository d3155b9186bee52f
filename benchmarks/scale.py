"""Seconds and memory of each data node against the number of images, and docs/scale.md from them.

Usage:

    python benchmarks/scale.py [--images 70000,700000] [--engines memory,flink] [--model DIR]
                               [--folder DIR] [--flink runs/flink] [--write]

Each set is made by `make_digits.py`. A result is kept in benchmarks/results/scale-*.json after each
node, so that it goes on where it was stopped, as long as FOLDER is there; artifacts of a size are
removed when it is done. `--write` measures nothing and writes the document from what is there. A
Flink cluster of `python -m pipeline.flink` is started where none runs, and stopped again.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # pipeline.py here hides the package

from data_nodes import NODES, Given, base_of_versions, measure
from make_digits import make_digits
from scale_document import document
from trainings import machine

from pipeline import engines
from pipeline.beam_arguments import beam_arguments
from pipeline.flink import cluster as clusters
from pipeline.flink import state
from pipeline.flink.fetch import fetched
from pipeline.flink.settings import ClusterSettings
from pipeline.workdir import write_json

MEMORY, FLINK = "memory", "flink"
RESULTS = pathlib.Path(__file__).parent / "results"
DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "scale.md"
Result = dict[str, Any]


def main() -> None:
    """Measures what is missing and writes the document."""
    options = _options()
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # as our command line sets them
    if not options.write:
        model = base_of_versions(options.model)
        for images in (int(text) for text in options.images.split(",")):
            _measure_size(images, options.engines.split(","), options, model)
    found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("scale-*.json"))]
    DOCUMENT.write_text(document(found, machine()))
    print(f"wrote {DOCUMENT} from {len(found)} results")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default="70000,700000")
    parser.add_argument("--engines", default=f"{MEMORY},{FLINK}")
    parser.add_argument("--model", type=pathlib.Path, default="runs/mnist/serving/mnist")
    parser.add_argument("--folder", type=pathlib.Path, default="runs/scale")
    parser.add_argument("--flink", type=pathlib.Path, default="runs/flink")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _measure_size(
    images: int, names: list[str], options: argparse.Namespace, model: pathlib.Path
) -> None:
    """Measures all nodes on the engines, and removes what they made."""
    digits = options.folder.resolve() / f"digits-{images}"
    missing = [name for name in names if len(_result(name, images)["nodes"]) < len(NODES)]
    for name in missing:
        make_digits(digits, images, seed=0)
        workdir = options.folder.resolve() / f"{name}-{images}"
        with _cluster(options.flink if name == FLINK else None) as cluster:
            words = tuple(cluster.beam_args) if cluster else ()
            arguments = tuple(engines.complete(beam_arguments(words)))
            _measure_nodes(name, images, Given(workdir, str(digits), model, arguments), cluster)
        shutil.rmtree(workdir)
    shutil.rmtree(digits, ignore_errors=True)


def _measure_nodes(name: str, images: int, given: Given, cluster: state.Cluster | None) -> None:
    result = _result(name, images)
    for node in NODES:
        if node in result["nodes"]:
            continue
        result["nodes"][node] = dataclasses.asdict(measure(node, given, cluster))
        result["nodes"][node]["load"] = os.getloadavg()[0]
        result["bytes"] = {"digits": _bytes(pathlib.Path(given.data))}
        result["bytes"]["examples"] = _bytes(given.workdir / "artifacts" / NODES[0])
        write_json(RESULTS / f"scale-{name}-{images}.json", result)
        print(f"{name}, {images:,} images, {node}: {result['nodes'][node]}", flush=True)


def _result(name: str, images: int) -> Result:
    """Returns what was measured before."""
    with contextlib.suppress(FileNotFoundError):
        found: Result = json.loads((RESULTS / f"scale-{name}-{images}.json").read_text())
        return found
    return {"engine": name, "images": images, "nodes": {}}


def _bytes(folder: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextlib.contextmanager
def _cluster(folder: pathlib.Path | None) -> Iterator[state.Cluster | None]:
    """Yields the cluster of a folder, which is started and stopped where it does not run."""
    if folder is None:
        yield None
        return
    with contextlib.suppress(state.ClusterError):
        if all((running := state.started(folder)).running().values()):
            yield running
            return
    started = clusters.start(folder, fetched(folder), ClusterSettings())
    try:
        yield started
    finally:
        clusters.stop(folder)


if __name__ == "__main__":
    main()
