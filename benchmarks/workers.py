"""Seconds of each data node with one worker in this process and with two, threads or processes.

Usage:

    python benchmarks/workers.py [--model DIR] [--data DIR] [--rounds 3] [--workdir DIR]

All of MNIST by default. `--model` is a base folder of numbered versions; the newest is evaluated.
Each cell is the median over the rounds; a round takes all settings of a node one after another.
StrictExampleValidator and Transform send no jobs to Beam, so that workers make no difference there.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # pipeline.py here hides the package

from data_nodes import NODES, Given, base_of_versions, measure

from pipeline import engines
from pipeline.beam_arguments import beam_arguments

MODEL = pathlib.Path("runs/mnist/serving/mnist")
SETTINGS = {
    "1 worker": (),
    "2 threads": ("--direct_running_mode=multi_threading", "--direct_num_workers=2"),
    "2 processes": ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=MODEL)
    parser.add_argument("--data", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workdir", type=pathlib.Path, help="for what is made; temporary")
    options = parser.parse_args()
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # as our command line sets it
    model = base_of_versions(options.model)
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
        for number in range(options.rounds):
            for node in NODES:
                for name, words in SETTINGS.items():
                    workdir = pathlib.Path(folder) / f"{number}-{name.replace(' ', '-')}"
                    arguments = tuple(engines.complete(beam_arguments(words)))
                    given = Given(workdir, options.data, model, arguments)
                    found.setdefault((node, name), []).append(measure(node, given).seconds)
                    print(f"{node}, {name}: {found[node, name][-1]:.1f} s", flush=True)
    _show(found)


def _show(found: dict[tuple[str, str], list[float]]) -> None:
    print(f"\nload of the machine at the end: {os.getloadavg()[0]:.1f}\n")
    print(f"| node, seconds | {' | '.join(SETTINGS)} |\n|---{'|---' * len(SETTINGS)}|")
    for node in NODES:
        cells = (f"{statistics.median(found[node, name]):.1f}" for name in SETTINGS)
        print(f"| {node} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
