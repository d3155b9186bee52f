"""Seconds of a training with and without the doctor for deep networks, and the share it costs.

Both trainings of a round run at the same time, each on half of the cores, so that a change of the
machine's speed meets both; in every second round they change sides. A cell is the median over the
rounds, `cost` the mean of the pairs of rounds, whose two sides cancel out. A process first trains
for a moment, so that nothing is imported or laid out for the first time in what is measured. `its
own clock` is the share of the time that the doctor counts as its own: it does not see what a look
does to the steps after it. Usage:

    python benchmarks/doctor.py [--seconds 30] [--rounds 6] [--only vgg16]
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

READY = "ready\n"
# Model, input shape, batch, images a second as measured here, which sets how many are trained on.
ROWS = (("sequential", (28, 28, 1), 256, 3200), ("vgg16", (32, 32, 3), 64, 100))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of one training, about")
    parser.add_argument("--rounds", type=int, default=6, help="an even number")
    parser.add_argument("--only", default="", help="a model's name")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 2 or options.rounds % 2:
        parser.error(f"expected an even number of --rounds, 2 or more; got {options.rounds}")
    if options.child:
        print(json.dumps(_train(**json.loads(options.child))))
        return
    print("| network, batch | without | with | looks | cost | pair by pair | its own clock |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if options.only in ("", row[0]):
            print(_line(row, options.seconds, options.rounds), flush=True)


def _line(row: tuple, seconds: float, rounds: int) -> str:
    found: dict[bool, list[dict]] = {False: [], True: []}
    for number in range(rounds):
        both = _both(row, seconds, with_first=bool(number % 2))
        for doctor, measured in both.items():
            found[doctor].append(measured)
    middle = {d: statistics.median(x["seconds"] for x in found[d]) for d in found}
    pairs = zip(found[True], found[False], strict=True)
    ratios = [with_["seconds"] / without["seconds"] for with_, without in pairs]
    costs = [math.sqrt(a * b) - 1 for a, b in zip(ratios[::2], ratios[1::2], strict=True)]
    each = ", ".join(f"{cost:+.1%}" for cost in costs)
    looks = statistics.median(x["looks"] for x in found[True])
    own = statistics.median(x["spent"] / x["seconds"] for x in found[True])
    return (
        f"| {row[0]} {'x'.join(map(str, row[1]))}, {row[2]} | {middle[False]:.1f} s "
        f"| {middle[True]:.1f} s | {looks:.0f} | {statistics.mean(costs):+.1%} | {each} "
        f"| {own:.1%} |"
    )


def _both(row: tuple, seconds: float, with_first: bool) -> dict[bool, dict]:
    """Trains with and without a doctor at the same time, on the two halves of the cores."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if not half:
        sys.exit("expected two cores or more, one for each training; this process may use one")
    halves = (cores[:half], cores[half : 2 * half])
    started = {}
    for doctor, part in zip((with_first, not with_first), halves, strict=True):
        told = json.dumps({"row": row, "seconds": seconds, "doctor": doctor, "cores": part})
        command = [sys.executable, __file__, "--child", told]
        started[doctor] = subprocess.Popen(
            command,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    for process in started.values():
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            sys.exit(f"expected a training to begin; it ended with exit code {process.wait()}")
    for process in started.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return {d: json.loads(p.communicate()[0].splitlines()[-1]) for d, p in started.items()}


def _train(row: list, seconds: float, doctor: bool, cores: list[int]) -> dict[str, float]:
    os.sched_setaffinity(0, cores)  # before TensorFlow counts them
    import dataclasses
    import time

    from components import data
    from components.features import to_pixels
    from components.settings import ModelSettings
    from components.training import precision
    from components.training.dataset import Digits
    from components.training.doctor.callback import Doctor
    from components.training.fit import FitJob, fit

    name, shape, batch, rate = row[0], tuple(row[1]), row[2], row[3]
    raw = data.load("")
    digits = Digits(raw.train_images, raw.train_labels.astype("int64"))
    policy = precision.resolve(precision.AUTO)
    module = f"components.models.{name}"
    model = ModelSettings(name, module, shape, policy, "one_cycle", 0)
    images = max(batch, int(seconds * rate) // 2 // batch * batch)
    job = FitJob(
        name, model, policy, batch, 2e-4, 2, 2, digits.first(images), digits.first(256),
        lambda image: to_pixels(image, shape),
    )  # fmt: skip
    job = job if doctor else dataclasses.replace(job, doctor=None)
    fit(dataclasses.replace(job, train=digits.first(batch), epochs=1, doctor=None))
    doctors: list[Doctor] = []
    discharge = Doctor.discharge

    def remembered(doctor: Doctor, *arguments: Any) -> Any:
        doctors.append(doctor)
        return discharge(doctor, *arguments)

    Doctor.discharge = remembered  # type: ignore
    print(READY, end="", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    result = fit(job)
    return {
        "seconds": time.perf_counter() - begun,
        "looks": float(len(result.record.chart.samples)),
        "spent": sum(one.spent for one in doctors),
    }


if __name__ == "__main__":
    main()
