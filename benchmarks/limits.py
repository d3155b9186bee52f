"""What this machine can compute at most, and what that allows: the floor under every time here.

A product of two large matrices is the quickest that TensorFlow does; it is timed in float32 and in
bfloat16, in a process that may use one core, and in one that may use all. From the multiplications
and additions of each network then follow the least time for the predictions of 10,000 digits in
float32, which an Evaluator makes, and the most images a second in training, in the quickest
precision. Convolutions and dense layers alone are counted, a training step as three predictions.
Usage: python benchmarks/limits.py [--seconds 5]
"""

import argparse
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from document_table import table

SIZE = 4096
PRECISIONS = ("float32", "bfloat16")
NETWORKS = (("sequential", (28, 28, 1)), ("alexnet", (227, 227, 1)), ("vgg16", (32, 32, 3)))
TEST_DIGITS = 10_000
A_STEP = 3  # predictions: forward, and twice as much back


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one product's timing")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_product(options.child, options.seconds)))
        return
    cores = sorted(os.sched_getaffinity(0))
    speed = {
        (precision, count): _timed(precision, cores[:count], options.seconds)
        for precision in PRECISIONS
        for count in (1, len(cores))
    }
    rows = [[p, f"{speed[p, 1]:.0f}", f"{speed[p, len(cores)]:.0f}"] for p in PRECISIONS]
    print(table(("GFLOP/s", "one core", f"all {len(cores)}"), rows), end="\n\n")
    plain = speed["float32", len(cores)]
    print(_networks(plain, max(speed[p, len(cores)] for p in PRECISIONS)))


def _networks(plain: float, quickest: float) -> str:
    rows = []
    for name, shape in NETWORKS:
        work = _gigaflops(name, shape)
        size = "x".join(map(str, shape))
        least, most = TEST_DIGITS * work / plain, quickest / (A_STEP * work)
        rows.append([f"{name} {size}", f"{work * 1e3:.1f}", f"{least:.1f}", f"{most:,.0f}"])
    answers = f"least seconds for {TEST_DIGITS:,} digits in float32"
    return table(("network", "MFLOP a digit", answers, "most images/s in training"), rows)


def _gigaflops(name: str, shape: tuple[int, ...]) -> float:
    """Returns those of one prediction."""
    import keras

    from components.models import module_of
    from components.models.compiling import HParams

    module = importlib.import_module(module_of(name))
    weighty = keras.layers.Conv2D | keras.layers.Dense
    # A convolution applies its kernel at each place of its output [batch, height, width, filters].
    return sum(
        2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) / 1e9
        for layer in module.build(HParams(1e-3), shape).layers
        if isinstance(layer, weighty)
    )


def _timed(precision: str, cores: list[int], seconds: float) -> float:
    pinned = ["taskset", "-c", ",".join(map(str, cores))]
    command = [sys.executable, __file__, "--child", precision, "--seconds", str(seconds)]
    done = subprocess.run([*pinned, *command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _product(precision: str, seconds: float) -> float:
    """Returns the GFLOP/s of the median product."""
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((SIZE, SIZE)), precision) for _ in range(2))
    multiply, times = tf.function(tf.matmul), []
    multiply(left, right)
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        multiply(left, right).numpy()
        times.append(time.perf_counter() - begun)
    return 2 * SIZE**3 / statistics.median(times) / 1e9


if __name__ == "__main__":
    main()
