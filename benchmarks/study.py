"""Trains the study's runs A, B and C again, over several seeds.

Writes one JSON file a training to runs/studies and goes on where it was stopped.
Usage: python benchmarks/study.py [--seeds 3] [--jobs 2]
"""

import argparse
import pathlib

from trainings import DEFAULT_FOLDER, Training, run_all

RUNS = {"A": (32, 0.001), "B": (64, 0.001), "C": (64, 0.01)}


def trainings(seeds: int) -> list[Training]:
    """Returns each run with each seed, a seed's runs together."""
    return [
        Training(name, seed, batch_size=batch, learning_rate=rate)
        for seed in range(seeds)
        for name, (batch, rate) in RUNS.items()
    ]


def main() -> None:
    """Trains what was not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--folder", type=pathlib.Path, default=DEFAULT_FOLDER)
    options = parser.parse_args()
    for found in run_all(trainings(options.seeds), options.folder, options.jobs):
        last = found.get("history", [{}])[-1]
        print(
            found["group"], found["seed"], found.get("failure") or last, found.get("test_accuracy")
        )


if __name__ == "__main__":
    main()
