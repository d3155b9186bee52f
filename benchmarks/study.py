"""Trains the study's runs A, B and C again, over several seeds, and writes docs/study.md.

AlexNet and VGG16 are trained with the same protocol at the size that two cores allow. Writes one
JSON file a training to benchmarks/results and goes on where it was stopped.
Usage: python benchmarks/study.py [--seeds 3] [--jobs 2]
"""

import argparse
import pathlib
from typing import Any

from study_document import document
from trainings import DEFAULT_FOLDER, Training, all_results, machine, results, run_all

from components.report.study import SEQUENTIAL

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "study.md"
DEEP: dict[str, dict[str, Any]] = {
    "alexnet": {"side": 227, "batch_size": 32, "images": 1000, "eval_images": 500},
    "vgg16": {"side": 32, "batch_size": 32, "images": 1000, "eval_images": 500},
}
DEEP_RATES = (1e-3, 2e-4)  # that of the study's A and B, and what the profiles' searches lead to


def sequential(seeds: int) -> list[Training]:
    """Returns each run with each seed, a seed's runs together."""
    return [
        Training(run.name, seed, batch_size=run.batch_size, learning_rate=run.learning_rate)
        for seed in range(seeds)
        for run in SEQUENTIAL
    ]


def deep(seeds: int) -> list[Training]:
    """Returns each of the two deep networks with each rate and seed."""
    return [
        Training(name, seed, model=name, learning_rate=rate, **size)
        for name, size in DEEP.items()
        for rate in DEEP_RATES
        for seed in range(seeds)
    ]


def main() -> None:
    """Trains what was not trained yet and writes the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--folder", type=pathlib.Path, default=DEFAULT_FOLDER)
    parser.add_argument("--write", action="store_true", help="train nothing, write what is there")
    options = parser.parse_args()
    wanted = [*sequential(options.seeds), *deep(options.seeds)]
    if options.write:
        found = results(wanted, options.folder)
    else:
        found = run_all(wanted, options.folder, options.jobs)
    grouped = {name: [r for r in found if r["group"] == name] for name in ("A", "B", "C", *DEEP)}
    runs = {name: grouped.pop(name) for name in ("A", "B", "C")}
    if not all(runs.values()):
        parser.error("expected at least one training of each of A, B and C; run without --write")
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(runs, grouped, all_results(options.folder), machine()))
    print(f"wrote {DOCUMENT} from {len(found)} trainings")


if __name__ == "__main__":
    main()
