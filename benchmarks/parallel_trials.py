"""Seconds of a search over `sequential` by how many of its trials run at a time.

Usage:

    python benchmarks/parallel_trials.py [--at-once 1 2] [--trials 4] [--images 4000] [--rounds 1]

The clock starts when the search could start in the node: TensorFlow is imported there, and the
workers' own start-up counts. CPU seconds are those of all processes of a search. The load is that
of the minute before; on a machine that has other work, more processes also get more of it.
"""

import argparse
import functools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

EVAL_IMAGES = 500
IN_MEMORY = ["--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
TRANSFORM, SPLITS = "transform", {"train": slice(0, 48_000), "eval": slice(48_000, 60_000)}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--images", type=int, default=4_000, help="of each trial; at most 48,000")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, at_once = pathlib.Path(options.child[0]), int(options.child[1])
        if at_once == 0:
            _write_inputs(folder, options.images)
            os._exit(0)  # Beam's threads beside TensorFlow may crash an interpreter that ends
        print(json.dumps(_searched(folder, at_once, options.trials, options.images)))
        return
    with tempfile.TemporaryDirectory() as name:
        _in_a_process(pathlib.Path(name), 0, options)
        _table(pathlib.Path(name), options)


def _table(folder: pathlib.Path, options: argparse.Namespace) -> None:
    print(f"{options.trials} trials of {options.images} images, {os.cpu_count()} cores\n")
    print("| at a time | seconds | CPU seconds | load before | best eval accuracy |")
    print("|---|---|---|---|---|")
    cells: dict[int, list[dict[str, Any]]] = {n: [] for n in options.at_once}
    for _ in range(options.rounds):
        for at_once, found in cells.items():
            printed = _in_a_process(folder, at_once, options)
            found.append(json.loads(printed.splitlines()[-1]))
    for at_once, found in cells.items():
        seconds, cpu, load = (
            statistics.median(one[key] for one in found) for key in ("seconds", "cpu", "load")
        )
        print(f"| {at_once} | {seconds:.1f} | {cpu:.1f} | {load:.1f} | {found[0]['best']:.1%} |")


def _in_a_process(folder: pathlib.Path, at_once: int, options: argparse.Namespace) -> str:
    """Returns what a search with so many trials at a time printed; 0 writes what it reads."""
    command = [sys.executable, __file__, "--child", str(folder), str(at_once)]
    command += ["--trials", str(options.trials), "--images", str(options.images)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _searched(folder: pathlib.Path, at_once: int, trials: int, images: int) -> dict[str, float]:
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.models import sequential
    from components.settings import ModelSettings, TuneSettings, to_config
    from components.tuning import parallel
    from components.tuning.run import tuner_fn

    model = ModelSettings(
        *("sequential", sequential.__name__, sequential.INPUT_SHAPE, "auto", "one_cycle"), seed=1
    )
    with tempfile.TemporaryDirectory(dir=folder) as state:
        settings = TuneSettings(
            model=model,
            images=images,
            eval_images=EVAL_IMAGES,
            epochs=1,
            batch_sizes=(32, 64, 128),
            learning_rates=sequential.LEARNING_RATES,
            trials=trials,
            state_dir=state,
            code="",
        )
        fn_args = FnArgs(
            train_files=[str(folder / "train.gz")],
            eval_files=[str(folder / "eval.gz")],
            transform_graph_path=str(folder / TRANSFORM),
            custom_config=to_config(settings),
        )
        load, cpu, begun = os.getloadavg()[0], _cpu_seconds(), time.monotonic()
        tuner = tuner_fn(fn_args).tuner
        if at_once > 1:
            parallel.search(tuner, fn_args, at_once)
        tuner.search()
        seconds = time.monotonic() - begun
        best = tuner.oracle.get_best_trials(1)[0].score
    return {"seconds": seconds, "cpu": _cpu_seconds() - cpu, "load": load, "best": best}


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _write_inputs(folder: pathlib.Path, images: int) -> None:
    """Writes what ExampleGen and Transform hand to a search."""
    import tensorflow as tf

    from components import data
    from components.example_gen import to_examples
    from components.features import IMAGE, LABEL

    raw = data.load("")
    for split, part in SPLITS.items():
        count = images if split == "train" else EVAL_IMAGES
        images_, labels = raw.train_images[part][:count], raw.train_labels[part][:count]
        with tf.io.TFRecordWriter(str(folder / f"{split}.gz"), "GZIP") as writer:
            for example in to_examples(images_, labels):
                writer.write(example)
    _write_transform(folder / TRANSFORM, {IMAGE: raw.train_images[0].astype("int64"), LABEL: 3})


def _write_transform(folder: pathlib.Path, row: dict[str, Any]) -> None:
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.features import preprocessing_fn
    from components.models import sequential
    from components.schema_gen import SCHEMA_FILE

    metadata = tft.DatasetMetadata(text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema()))
    config = {"input_shape": sequential.INPUT_SHAPE}
    function = functools.partial(preprocessing_fn, custom_config=config)
    with (
        beam.Pipeline(options=PipelineOptions(IN_MEMORY)) as root,
        tft_beam.Context(temp_dir=str(folder / "temporary")),
    ):
        made = (root | beam.Create([row]), metadata) | tft_beam.AnalyzeDataset(function)
        _ = made | tft_beam.WriteTransformFn(str(folder))


if __name__ == "__main__":
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    main()
