"""Seconds until `sequential`, unchanged in architecture, reaches 0.99 on test, over several seeds.

The clock runs from the first step to the end of the epoch after which the accuracy is there;
loading, building and the test itself are not counted. Usage:

    python benchmarks/time_to_accuracy.py [--seeds 5] [--on test]

The recipe is one epoch of Adam under a one-cycle rate on all 48,000 images of `train`, with weights
averaged over the last steps, in the precision that is fastest here; options change it. Compare
recipes with `--on eval` and other seeds (`--first-seed`).
"""

import argparse
import os
import statistics
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

TARGET = 0.99


def main() -> None:
    """Prints a line a seed and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--on", choices=("test", "eval"), default="test")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--peak", type=float, default=2e-3, help="of the one-cycle rate")
    parser.add_argument("--averaging", type=float, default=0.2, help="share of the steps")
    options = parser.parse_args()
    print(
        f"batch {options.batch}, one cycle to {options.peak:g}, {options.epochs} epochs, weights "
        f"averaged over {options.averaging:g} of the steps"
    )
    print(f"| seed | precision | {options.on} | seconds to {TARGET} | seconds in all |")
    print("|---|---|---|---|---|", flush=True)
    seconds = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        history, policy = _train(seed, options)
        whole = sum(epoch["seconds"] for epoch in history)
        seconds.append(_reached(history))
        shown = f"{seconds[-1]:.1f}" if seconds[-1] else "not reached"
        last = history[-1]["val_accuracy"]
        print(f"| {seed} | {policy} | {last:.4f} | {shown} | {whole:.1f} |", flush=True)
    reached = [value for value in seconds if value]
    if len(reached) == len(seconds):
        print(f"median {statistics.median(reached):.1f} s")
    else:
        print(f"{len(reached)} of {len(seconds)} seeds reached it")


def _reached(history: list[dict[str, float]]) -> float | None:
    spent = 0.0
    for epoch in history:
        spent += epoch["seconds"]
        if epoch["val_accuracy"] >= TARGET:
            return spent
    return None


def _train(seed: int, options: argparse.Namespace) -> tuple[list[dict[str, float]], str]:
    from components import data
    from components.features import to_pixels
    from components.settings import ModelSettings
    from components.training import precision
    from components.training.dataset import Digits
    from components.training.fit import FitJob, fit

    def transform(image: Any) -> Any:
        return to_pixels(image, (28, 28, 1))

    splits = data.split(data.load(""), 0, 0, 0)
    train, asked = (
        Digits(images, labels.astype("int64"))
        for images, labels in (splits["train"], splits[options.on])
    )
    policy = precision.resolve(precision.AUTO)
    model = ModelSettings(
        "sequential", "components.models.sequential", (28, 28, 1), policy, "one_cycle", seed,
        averaging=options.averaging,
    )  # fmt: skip
    job = FitJob(
        "sequential", model, policy, options.batch, options.peak, options.epochs, options.epochs,
        train, asked, transform,
    )  # fmt: skip
    return fit(job).record.history, policy


if __name__ == "__main__":
    main()
