"""Digits a second of an Evaluator in memory, as it goes on through many.

Usage:

    python benchmarks/evaluation_rate.py [--images 1000000] [--window 100000] [--model DIR]

Writes that many random pictures as the test split, and prints a row after each window, so that it
can be stopped at any time. The memory is the process's.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # pipeline.py here hides the package

import one_data_node
from data_nodes import Given, base_of_versions

from components import unbatching
from components.data.idx import to_idx_bytes
from pipeline import engines
from pipeline.beam_arguments import beam_arguments

SIDE, BLOCK, FEW = 28, 10_000, 1_000
inner = unbatching.unbatched


class Rate:
    """Counts digits and prints a row for each window of them."""

    window, done, begun, last = 0, 0, 0.0, 0.0

    @classmethod
    def count(cls, batch: Any) -> list[Any]:
        """Does what `unbatched` does, and counts."""
        rows = inner(batch)
        before, cls.done = cls.done, cls.done + len(rows)
        if not cls.begun:
            cls.begun = cls.last = time.monotonic()
        if before // cls.window != cls.done // cls.window:
            now, memory = time.monotonic(), psutil.Process().memory_info().rss
            rate = cls.window / (now - cls.last)
            print(
                f"| {cls.done:,} | {now - cls.begun:,.0f} | {rate:,.0f} | {memory / 1e6:,.0f} |",
                flush=True,
            )
            cls.last = now
        return rows


def write_digits(folder: pathlib.Path, name: str, count: int) -> None:
    """Writes random pictures and labels as IDX files, a block of them again and again."""
    random = np.random.default_rng(0)
    shape = (BLOCK, SIDE, SIDE)
    images = random.integers(0, 256, shape, np.uint8) * (random.random(shape) < 0.2)  # as ink
    labels = (np.arange(count) % 10).astype(np.uint8)
    files = {"images-idx3": np.resize(images, (count, SIDE, SIDE)), "labels-idx1": labels}
    for kind, array in files.items():
        (folder / f"{name}-{kind}-ubyte").write_bytes(to_idx_bytes(array))


def main() -> None:
    """Evaluates and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=100_000)
    parser.add_argument("--model", type=pathlib.Path, default="runs/mnist/serving/mnist")
    options = parser.parse_args()
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # as our command line sets them
    arguments = tuple(engines.complete(beam_arguments(())))
    Rate.window, unbatching.unbatched = options.window, Rate.count
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "data").mkdir()
        write_digits(folder / "data", "train", FEW)
        write_digits(folder / "data", "t10k", options.images)
        given = Given(
            folder / "run", str(folder / "data"), base_of_versions(options.model), arguments
        )
        print("| digits | seconds | digits a second | memory, MB |\n| --- | --- | --- | --- |")
        print(f"Evaluator: {one_data_node.run(one_data_node.NODES[-1], given):,.0f} s")


if __name__ == "__main__":
    import evaluation_rate  # Beam's workers find the class there, and not in `__main__`

    evaluation_rate.main()
