"""Seconds of a training with and without the doctor for deep networks, and the share it costs.

Each cell is the median over rounds, `cost` that of the rounds' costs; in each round both columns
take turns, in a process of their own, so that a change of the machine's speed meets both. A process
trains once for a moment, so that nothing is imported or laid out for the first time in what is
measured. `its own clock` is the share of the time that the doctor counts as its own: it is less
noisy than `cost`, and does not see what a look does to the steps after it. Usage:

    python benchmarks/doctor.py [--seconds 30] [--rounds 3] [--only vgg16]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Model, input shape, batch, images a second as measured here, which sets how many are trained on.
ROWS = (("sequential", (28, 28, 1), 256, 3200), ("vgg16", (32, 32, 3), 64, 100))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of one training, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a model's name")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_train(**json.loads(options.child))))
        return
    print("| network, batch | without | with | looks | cost | round by round | its own clock |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if options.only in ("", row[0]):
            print(_line(row, options.seconds, options.rounds), flush=True)


def _line(row: tuple, seconds: float, rounds: int) -> str:
    found: dict[bool, list[dict]] = {False: [], True: []}
    for number in range(rounds):
        for doctor in (False, True) if number % 2 else (True, False):
            argument = json.dumps({"row": row, "seconds": seconds, "doctor": doctor})
            command = [sys.executable, __file__, "--child", argument]
            out = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
            found[doctor].append(json.loads(out.splitlines()[-1]))
    middle = {d: statistics.median(x["seconds"] for x in found[d]) for d in found}
    pairs = zip(found[True], found[False], strict=True)
    costs = [with_["seconds"] / without["seconds"] - 1 for with_, without in pairs]
    cost, each = statistics.median(costs), ", ".join(f"{cost:+.1%}" for cost in costs)
    looks = statistics.median(x["looks"] for x in found[True])
    own = statistics.median(x["spent"] / x["seconds"] for x in found[True])
    return (
        f"| {row[0]} {'x'.join(map(str, row[1]))}, {row[2]} | {middle[False]:.1f} s "
        f"| {middle[True]:.1f} s | {looks:.0f} | {cost:+.1%} | {each} | {own:.1%} |"
    )


def _train(row: list, seconds: float, doctor: bool) -> dict[str, float]:
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
    Doctor.discharge = lambda one, *a: (doctors.append(one), discharge(one, *a))[1]
    begun = time.perf_counter()
    result = fit(job)
    return {
        "seconds": time.perf_counter() - begun,
        "looks": float(len(result.record.chart.samples)),
        "spent": sum(one.spent for one in doctors),
    }


if __name__ == "__main__":
    main()
