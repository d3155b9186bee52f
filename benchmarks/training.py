"""Images a second of our training against a notebook's loop, and PyTorch's where it is installed.

Each cell is the median of three rounds, each in a process of its own; the columns take turns, so
that a change of the machine's speed meets all of them. The notebook's column is the study's code:
float32 NumPy arrays that were resized beforehand, and `model.fit` as it comes (`notebook.py`); that
both learn the same is shown by `equal_accuracy.py`. Usage:

    python benchmarks/training.py [--seconds 20] [--only sequential] [--torch PYTHON]

`--torch` names a Python with PyTorch in an environment of its own; it trains the same layers,
channels last, in bfloat16 autocast where that is the quicker (`benchmarks/torch_models.py`).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

ROUNDS = 3
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Row:
    """One network at one input side and batch size, and a fair number of images for a round."""

    model: str
    side: int
    channels: int
    batch: int


ROWS = (
    Row("sequential", 28, 1, 64),
    Row("sequential", 28, 1, 256),
    Row("alexnet", 227, 1, 64),
    Row("vgg16", 32, 3, 64),
    Row("vgg16", 224, 3, 8),
)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of one round of one cell")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="a model's name")
    parser.add_argument("--torch", default="", help="a Python that has PyTorch")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    print("| network, batch | notebook | ours | ratio | PyTorch | ours / PyTorch |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        if options.only in ("", row.model):
            print(_line(row, options.seconds, options.rounds, options.torch), flush=True)


def _line(row: Row, seconds: float, rounds: int, torch: str) -> str:
    sides = {"notebook": _child(row, seconds, "notebook"), "ours": _child(row, seconds, "ours")}
    if torch:
        script = str(HERE / "torch_models.py")
        command = [torch, script, row.model, str(row.side), str(row.batch), str(seconds)]
        sides["torch"] = lambda: float(subprocess.check_output(command, text=True).split()[-1])
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            rates[name].append(measure())
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = middle["ours"] / middle["notebook"]
    beside = (
        f"{middle['torch']:,.1f} | {middle['ours'] / middle['torch']:.2f}" if torch else "- | -"
    )
    return (
        f"| {row.model} {row.side}x{row.side}x{row.channels}, {row.batch} "
        f"| {middle['notebook']:,.1f} | {middle['ours']:,.1f} | {ratio:.2f} | {beside} |"
    )


def _child(row: Row, seconds: float, what: str) -> Callable[[], float]:
    """Returns a function that measures in a new process, as memory and threads differ by column."""
    argument = json.dumps({**dataclasses.asdict(row), "seconds": seconds, "what": what})
    # The notebook has TensorFlow's own default for oneDNN; our command line turns it on.
    environment = {**os.environ, **({"TF_ENABLE_ONEDNN_OPTS": "1"} if what == "ours" else {})}
    command = [sys.executable, __file__, "--child", argument]

    def measure() -> float:
        done = subprocess.run(command, text=True, env=environment, capture_output=True)
        if done.returncode:
            sys.exit(f"expected {what} to train {row.model}; it ended with:\n{done.stderr}")
        return float(done.stdout.split()[-1])

    return measure


def child(argument: str) -> None:
    """Measures one cell and prints images a second."""
    task = json.loads(argument)
    row = Row(task["model"], task["side"], task["channels"], task["batch"])
    print({"ours": _ours, "notebook": _notebook}[task["what"]](row, task["seconds"]))


def _digits(count: int):  # type: ignore[no-untyped-def]
    from components import data

    raw = data.load("")
    return raw.train_images[:count], raw.train_labels[:count].astype("int64")


def _rate_of(fit: Callable[[int, Any], None], batch: int, seconds: float) -> float:
    """Returns images a second of `fit(steps, callback)` over about the given time.

    Neither what is compiled in the first step counts, nor the end of a `fit`, where tf.data's tuner
    may let the notebook's wait for seconds, however long it trained.
    """
    import keras

    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: ends.append(time.perf_counter())
    )
    fit(4, clock)
    steps = max(4, int(seconds / (ends[-1] - ends[-2])))
    ends.clear()
    fit(steps, clock)
    return (len(ends) - 1) * batch / (ends[-1] - ends[0])


def _notebook(row: Row, seconds: float) -> float:
    """Trains as the study's notebook did."""
    import notebook

    shape = (row.side, row.side, row.channels)
    images, labels = _digits(2_048 if row.side == 28 else 8 * row.batch)
    pixels = notebook.arrays(images, shape)
    model = notebook.network(row.model, shape, 1e-4)

    def fit(steps: int, clock: Any) -> None:
        some, epochs = slice(steps * row.batch), max(1, steps * row.batch // len(labels))
        model.fit(
            pixels[some],
            labels[some],
            batch_size=row.batch,
            epochs=epochs,
            callbacks=[clock],
            verbose=0,
        )

    return _rate_of(fit, row.batch, seconds)


def _ours(row: Row, seconds: float) -> float:
    """Trains with the Trainer's own parts."""
    from components.features import to_pixels
    from components.settings import ModelSettings
    from components.training import dataset, devices, precision
    from components.training import fit as fitting

    shape = (row.side, row.side, row.channels)
    images, labels = _digits(8_192)
    digits = dataset.Digits(images, labels)
    policy = precision.resolve(precision.AUTO)
    module = f"components.models.{row.model}"
    settings = ModelSettings(row.model, module, shape, policy, "constant", 0)

    def transform(image):  # type: ignore[no-untyped-def]
        return to_pixels(image, shape)

    job = fitting.FitJob(
        row.model, settings, policy, row.batch, 1e-4, 1, 1, digits, digits.first(1), transform
    )
    devices.prepare_gpus()
    steps_in_epoch = dataset.steps_in_epoch(len(labels), row.batch)
    model, whole = fitting.compiled(job, steps_in_epoch)
    batches = dataset.training_batches(digits, row.batch, transform, 0, 0, whole)
    at_once = model.steps_per_execution

    def fit(steps: int, clock: Any) -> None:
        model.fit(batches, steps_per_epoch=steps * at_once, callbacks=[clock], verbose=0)

    return _rate_of(fit, row.batch * at_once, seconds)


if __name__ == "__main__":
    main()
