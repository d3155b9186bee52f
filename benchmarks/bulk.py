"""Images a second of `mnist-tfx bulk`, beside the same model called in process on arrays.

Usage:

    python benchmarks/bulk.py [--model DIR] [--images 20000] [--rounds 3] [--workdir DIR]

`--model` is a base folder of numbered versions; the newest is used. In process means: the digits
are in memory, the signature is asked about 256 of them at a time, and the answers are made NumPy
arrays. Each cell is a process of its own between two of those, whose mean it is compared with; the
table has the medians over the rounds. The rate is from the first record that is read to the last
part that is on the disk; what comes before (imports, the input's digest, the model) is the start.
"""

import argparse
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

KINDS = ("idx", "tfrecord", "png")
FORMATS = ("parquet", "jsonl")
BATCH = 256
FILE_DIGITS = 6_000


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default="runs/mnist/serving/mnist")
    parser.add_argument("--images", type=int, default=20_000, help="at most 70,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workdir", type=pathlib.Path, help="for input and output; temporary")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    model = _newest(options.model.resolve())
    if options.child:
        print(_rate_in_process(model, options.images))
        return
    with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
        _table(pathlib.Path(folder), model, options.images, options.rounds)


def _newest(base: pathlib.Path) -> pathlib.Path:
    if (base / "saved_model.pb").exists():
        return base
    versions = [f for f in base.glob("*") if f.name.isdigit() and (f / "saved_model.pb").exists()]
    if not versions:
        sys.exit(f"expected numbered versions with a saved_model.pb in {base}; pass --model DIR")
    return max(versions, key=lambda folder: int(folder.name))


def _table(folder: pathlib.Path, model: pathlib.Path, images: int, rounds: int) -> None:
    for kind in KINDS:
        (folder / kind).mkdir()
        WRITERS[kind](folder / kind, images)
    cells = [(kind, form) for kind in KINDS for form in FORMATS]
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {cell: [] for cell in cells}
    for _ in range(rounds):
        before = _in_process(model, images)
        for cell in cells:
            rate, start = _bulk(folder, model, *cell)
            after = _in_process(model, images)
            found[cell].append((rate, (before + after) / 2, start))
            before = after
    print("| input | output | in process, images/s | bulk, images/s | ratio | start, s |")
    print("|---|---|---|---|---|---|")
    for (kind, form), rows in found.items():
        rate, beside, start = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(row[0] / row[1] for row in rows)
        print(f"| {kind} | {form} | {beside:,.0f} | {rate:,.0f} | {ratio:.2f} | {start:.1f} |")


def _in_process(model: pathlib.Path, images: int) -> float:
    command = [sys.executable, __file__, "--child", "--model", str(model), "--images", str(images)]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}  # as our command line sets it
    out = subprocess.check_output(command, text=True, env=environment, stderr=subprocess.DEVNULL)
    return float(out.split()[-1])


def _rate_in_process(model: pathlib.Path, images: int) -> float:
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    signature = loaded.signatures["serving_default"]
    digits = _digits(images)
    signature(image=tf.constant(np.zeros((BATCH, 28, 28), np.uint8)))
    begun = time.perf_counter()
    for first in range(0, images, BATCH):
        answers = signature(image=tf.constant(digits[first : first + BATCH]))
        _ = {name: answer.numpy() for name, answer in answers.items()}
    return images / (time.perf_counter() - begun)


def _bulk(folder: pathlib.Path, model: pathlib.Path, kind: str, form: str) -> tuple[float, float]:
    """Returns images a second, and the seconds of the start, of a run in a process of its own."""
    output = folder / "output"
    command = [
        *(sys.executable, "-m", "pipeline", "bulk", str(folder / kind), "--format", form),
        *("--output", str(output), "--model-dir", str(model), "--batch-size", str(BATCH)),
    ]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - begun
    summary = json.loads((output / "summary.json").read_text())
    shutil.rmtree(output)
    return summary["images_per_second"], whole - summary["seconds"]["predicting"]


def _digits(count: int):  # type: ignore[no-untyped-def]
    import numpy as np

    from components import data

    raw = data.load("")
    return np.concatenate([raw.train_images, raw.test_images])[:count]


def _write_idx(folder: pathlib.Path, images: int) -> None:
    from components.data import to_idx_bytes

    (folder / "images").write_bytes(to_idx_bytes(_digits(images)))


def _write_tfrecord(folder: pathlib.Path, images: int) -> None:
    """Writes files as MnistExampleGen does."""
    import numpy as np
    import tensorflow as tf

    from components.example_gen import to_examples

    digits = _digits(images)
    for first in range(0, images, FILE_DIGITS):
        some = digits[first : first + FILE_DIGITS]
        with tf.io.TFRecordWriter(str(folder / f"{first:06d}.gz"), "GZIP") as writer:
            for example in to_examples(some, np.zeros(len(some))):
                writer.write(example)


def _write_png(folder: pathlib.Path, images: int) -> None:
    from PIL import Image

    for number, image in enumerate(_digits(images)):
        out = io.BytesIO()
        Image.fromarray(image).save(out, "PNG")
        (folder / f"{number:05d}.png").write_bytes(out.getvalue())


WRITERS = {"idx": _write_idx, "tfrecord": _write_tfrecord, "png": _write_png}


if __name__ == "__main__":
    main()
