"""Reproduces what happened to the study's VGG16, mends it by one measure at a time.

Every training has the study's batch of 100 and its own seed; the input is 32x32, which two cores
allow. A network an eighth as wide goes through the study's ten epochs, at its rate and above.
Writes one JSON file a training to benchmarks/results and goes on where it was stopped.
Usage: python benchmarks/vgg16.py [--seeds 5] [--steps 120] [--jobs 2]
"""

import argparse
import pathlib
from typing import Any

from trainings import DEFAULT_FOLDER, Training, machine, results, run_all
from vgg16_document import document

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "vgg16.md"
BATCH, SIDE = 100, 32
STUDY = {"initializer": "glorot_uniform", "clip_norm": None}  # Keras' default start, no bound
ARMS: dict[str, dict[str, Any]] = {
    "as the study": {},
    "initialisation": {"variant": {**STUDY, "initializer": "he_uniform"}},
    "warm-up": {"schedule": "warm_up"},
    "clipping": {"variant": {**STUDY, "clip_norm": 1.0}},
    "rate": {"learning_rate": 1e-4},
    "all four": {
        "variant": {"initializer": "he_uniform", "clip_norm": 1.0},
        "schedule": "warm_up",
        "learning_rate": 1e-4,
    },
}
NARROW = "narrow as the study"
NARROW_RUNS = (  # seed and rate; what learns takes four minutes on a core, what does not seconds
    *((seed, 1e-3) for seed in range(2)),
    (0, 2e-3),
    *((seed, rate) for rate in (4e-3, 8e-3, 3e-2, 1e-1) for seed in range(5)),
)


def narrow() -> list[Training]:
    """Returns the narrow network's trainings, from the lowest rate to the highest."""
    whole = {"model": "vgg16", "side": SIDE, "batch_size": BATCH, "epochs": 10}
    variant = {**STUDY, "module": "narrow_vgg16"}
    return [
        Training(NARROW, seed, learning_rate=rate, eval_images=2000, variant=variant, **whole)
        for seed, rate in NARROW_RUNS
    ]


def trainings(seeds: int, steps: int) -> list[Training]:
    """Returns each arm with each seed, a seed's arms together."""
    whole = {
        "model": "vgg16",
        "side": SIDE,
        "batch_size": BATCH,
        "epochs": 1,
        "images": BATCH * steps,
        "eval_images": 1000,
        "variant": STUDY,
    }
    return [
        Training(name, seed, **{**whole, **changes})
        for seed in range(seeds)
        for name, changes in ARMS.items()
    ]


def main() -> None:
    """Trains what was not trained yet and writes the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--folder", type=pathlib.Path, default=DEFAULT_FOLDER)
    parser.add_argument("--write", action="store_true", help="train nothing, write what is there")
    options = parser.parse_args()
    wanted = [*trainings(options.seeds, options.steps), *narrow()]
    if options.write:
        found = results(wanted, options.folder)
    else:
        found = run_all(wanted, options.folder, options.jobs)
    DOCUMENT.parent.mkdir(exist_ok=True)
    arms = {name: [r for r in found if r["group"] == name] for name in ARMS}
    DOCUMENT.write_text(document(arms, [r for r in found if r["group"] == NARROW], machine()))
    print(f"wrote {DOCUMENT} from {len(found)} trainings")


if __name__ == "__main__":
    main()
