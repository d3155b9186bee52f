"""Seconds until `sequential`, unchanged in architecture, reaches 0.99 on test, over several seeds.

The recipe is the laptop profile's: the precision that is fastest here, Adam under a one-cycle rate
with peak 0.003, batch 256, all 48,000 images of `train`. The clock runs from the first step to the
end of the epoch after which the test accuracy is there; loading, building and the test itself are
not counted. Usage: python benchmarks/time_to_accuracy.py [--seeds 5] [--epochs 2]
"""

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

TARGET = 0.99
BATCH, PEAK = 256, 3e-3


def main() -> None:
    """Prints a line a seed and the median."""
    from components import data
    from components.features import to_pixels
    from components.settings import ModelSettings
    from components.training import precision
    from components.training.dataset import Digits
    from components.training.fit import FitJob, fit

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    splits = data.split(data.load(""), 0, 0, 0)
    train, test = (Digits(i, y.astype("int64")) for i, y in (splits["train"], splits["test"]))
    policy = precision.resolve(precision.AUTO)
    print(f"precision {policy}, batch {BATCH}, one cycle to {PEAK}, {options.epochs} epochs")
    print("| seed | test accuracy | reached 0.99 | seconds |\n|---|---|---|---|")
    seconds = []
    for seed in range(options.seeds):
        model = ModelSettings(
            "sequential", "components.models.sequential", (28, 28, 1), policy, "one_cycle", seed
        )
        job = FitJob(
            "sequential", model, policy, BATCH, PEAK, options.epochs, options.epochs, train, test,
            lambda image: to_pixels(image, (28, 28, 1)),
        )  # fmt: skip
        history = fit(job).record.history
        spent, reached = 0.0, None
        for epoch in history:
            spent += epoch["seconds"]
            if epoch["val_accuracy"] >= TARGET:
                reached = spent
                break
        seconds.append(reached)
        shown = f"{reached:.1f}" if reached else "not reached"
        print(
            f"| {seed} | {history[-1]['val_accuracy']:.4f} | {bool(reached)} | {shown} |",
            flush=True,
        )
    if all(seconds):
        print(f"median {statistics.median(s for s in seconds if s):.1f} s")


if __name__ == "__main__":
    main()
