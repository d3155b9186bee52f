"""Looks for the recipe that gets the most out of `sequential`, unchanged in its architecture.

The arms are compared on `eval` with a seed of their own; the best is then trained with other seeds.
Writes one JSON file a training to runs/studies and goes on where it was stopped.
Usage: python benchmarks/recipe.py [--arms a,b] [--seeds 3] [--jobs 2]
"""

import argparse
import dataclasses
import pathlib
import statistics

from trainings import DEFAULT_FOLDER, Result, Training, run_all

SELECTION_SEED = 100
BASE = Training("", 0, batch_size=128, learning_rate=2e-3, epochs=20, schedule="one_cycle")
ARMS = {
    "affine": {"augmentation": "affine", "averaging": 0.1},
    "elastic": {"augmentation": "elastic", "averaging": 0.1},
}


def arm(name: str, seed: int) -> Training:
    """Returns one training."""
    return dataclasses.replace(BASE, group=name, seed=seed, changes=ARMS[name])


def main() -> None:
    """Trains what was not trained yet and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=3, help="of the winner")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--folder", type=pathlib.Path, default=DEFAULT_FOLDER)
    options = parser.parse_args()
    arms = [arm(name, SELECTION_SEED) for name in options.arms.split(",")]
    tried = run_all(arms, options.folder, options.jobs)
    for found in tried:
        _print(found)
    winner = max(tried, key=best_on_eval)["group"]
    finals = [arm(winner, seed) for seed in range(options.seeds)]
    found = run_all(finals, options.folder, options.jobs)
    for one in found:
        _print(one)
    mean = statistics.mean(one["test_accuracy"] for one in found)
    print(f"{winner}: {mean:.4f} on test, the mean over {len(found)} seeds")


def best_on_eval(found: Result) -> float:
    """Returns the best epoch's accuracy on `eval`."""
    return max(epoch["val_accuracy"] for epoch in found["history"])


def _print(found: Result) -> None:
    print(
        f"{found['group']} {found['seed']}: {best_on_eval(found):.4f} on eval, "
        f"{found['test_accuracy']:.4f} on test, {found['train_seconds']:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
