"""Accuracy on `test` after the same epochs: the notebook's loop beside our training, seed by seed.

Both train the registry's layers with Adam at one constant rate, on the same digits, in batches of
one size, and are asked about the same digits of `test`. Ours has the precision that it chooses on
this machine. Writes one JSON file a training and goes on where it was stopped. Usage:

    python benchmarks/equal_accuracy.py [--seeds 3] [--only sequential]
"""

import argparse
import dataclasses
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

from document_table import table
from study_document import interval
from trainings import DEFAULT_FOLDER, Training, keep, machine, results, run_all

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

FOLDER = DEFAULT_FOLDER / "equal"
DEEP = {"learning_rate": 2e-4, "images": 3_000, "eval_images": 500, "test_images": 2_000}
ROWS = (
    Training("ours sequential", 0, epochs=1),
    Training("ours alexnet", 0, "alexnet", side=227, batch_size=32, epochs=1, **DEEP),
    Training("ours vgg16", 0, "vgg16", side=32, batch_size=32, epochs=1, **DEEP),
)
HEAD = ("network", "images, batch, rate", "notebook", "ours", "ours - notebook", "95% interval")


def main() -> None:
    """Trains what was not trained yet and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="a model's name")
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _train_as_the_notebook(Training(**json.loads(options.child)), options.folder)
        return
    rows = []
    for row in ROWS:
        if options.only in ("", row.model):
            seeds = [dataclasses.replace(row, seed=seed) for seed in range(options.seeds)]
            rows.append(_row(seeds, options.folder))
    print(f"{machine()}\n\n{table(HEAD, rows)}")


def _row(ours: list[Training], folder: pathlib.Path) -> list[str]:
    theirs = [
        dataclasses.replace(training, group=f"notebook {training.model}") for training in ours
    ]
    run_all(ours, folder, jobs=1)
    for training in theirs:
        if not (folder / training.file).exists():
            argument = json.dumps(dataclasses.asdict(training))
            command = [sys.executable, __file__, "--child", argument, "--folder", str(folder)]
            subprocess.run(command, check=True, stdout=sys.stderr)
    pairs = [
        [found["test_accuracy"] for found in results(trainings, folder)]
        for trainings in (theirs, ours)
    ]
    differences = [mine - other for other, mine in zip(*pairs, strict=True)]
    bounds = interval(differences)
    one = ours[0]
    return [
        f"{one.model} {one.side}x{one.side}",
        f"{one.images or 48_000:,}, {one.batch_size}, {one.learning_rate:g}",
        *(", ".join(f"{value:.2%}" for value in values) for values in pairs),
        f"{statistics.mean(differences):+.2%}",
        f"{bounds[0]:+.2%} to {bounds[1]:+.2%}" if bounds else "-",
    ]


def _train_as_the_notebook(training: Training, folder: pathlib.Path) -> None:
    import keras
    import notebook

    from components import data
    from components.features import to_pixels
    from components.models import module_of
    from components.training import scoring

    channels = importlib.import_module(module_of(training.model)).INPUT_SHAPE[-1]
    shape = (training.side, training.side, channels)
    splits = data.split(data.load(""), training.images, 0, training.test_images or 0)
    keras.utils.set_random_seed(training.seed)
    model = notebook.network(training.model, shape, training.learning_rate)
    images, labels = splits["train"]
    model.fit(
        notebook.arrays(images, shape),
        labels,
        batch_size=training.batch_size,
        epochs=training.epochs,
        verbose=0,
    )
    images, labels = splits["test"]
    answers = scoring.predict(model, images, lambda image: to_pixels(image, shape))
    found = dataclasses.asdict(training) | {
        "test_accuracy": scoring.accuracy(answers, labels),
        "machine": machine(),
    }
    keep(found, folder / training.file)


if __name__ == "__main__":
    main()
