"""Facts about a SavedModel on disk: its digest, its size, its latency."""

import hashlib
import pathlib
import statistics
import time

import numpy as np
import tensorflow as tf

from components.features import SIDE

WARM_UP_CALLS = 5
TIMED_CALLS = 30
LEFT_OUT = {"fingerprint.pb"}  # differs between two writes of one model


def digest(folder: pathlib.Path) -> str:
    """Returns the SHA-256 of the files' names and contents, what was added beside them left out."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name not in LEFT_OUT and not name.startswith("assets.extra/"):
            total.update(f"{name}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def size(folder: pathlib.Path) -> int:
    """Returns the bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def latency_ms(folder: pathlib.Path) -> float:
    """Returns the median time, in milliseconds, of one digit through `serving_default`."""
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    image = tf.constant(np.zeros((1, SIDE, SIDE), np.uint8))
    times = []
    for _ in range(WARM_UP_CALLS + TIMED_CALLS):
        start = time.perf_counter()
        answer(image=image)["digit"].numpy()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP_CALLS:]) * 1000
