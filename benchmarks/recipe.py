"""Looks for the recipe that gets the most out of `sequential`, and writes docs/recipe.md.

The network stays as it is. The arms are compared on `eval` with a seed of their own; the best is
then trained with other seeds and only then asked about `test`. Writes one JSON file a training to
benchmarks/results and goes on where it was stopped.
Usage: python benchmarks/recipe.py [--arms a,b] [--seeds 4] [--jobs 2]
"""

import argparse
import dataclasses
import pathlib
import statistics
from typing import Any

from study_document import interval
from trainings import DEFAULT_FOLDER, Result, Training, results, run_all

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "recipe.md"
SELECTION_SEED = 100
BASE = Training("", 0, batch_size=128, learning_rate=2e-3, epochs=20, schedule="one_cycle")
ARMS: dict[str, dict[str, Any]] = {
    "affine": {"augmentation": "affine", "averaging": 0.1},
    "elastic": {"augmentation": "elastic", "averaging": 0.1},
    "decay": {"augmentation": "affine", "averaging": 0.1, "weight_decay": 0.1},
    "wide": {"augmentation": "wide", "averaging": 0.1, "weight_decay": 0.1},
}

SHORT: dict[str, dict[str, Any]] = {  # what the `laptop` profile has time for
    "short plain": {},
    "short averaged": {"averaging": 0.1},
    "short changed": {"augmentation": "affine"},
}
SHORT_SEEDS = (100, 101)
CHANCE = 0.0016  # half of the 95% interval of an accuracy of 99.2% on 12,000 images


def arm(name: str, seed: int) -> Training:
    """Returns one training."""
    return dataclasses.replace(BASE, group=name, seed=seed, changes=ARMS[name])


def short() -> list[Training]:
    """Returns the trainings of two epochs."""
    return [
        dataclasses.replace(BASE, group=name, seed=seed, epochs=2, batch_size=64, changes=changes)
        for seed in SHORT_SEEDS
        for name, changes in SHORT.items()
    ]


def main() -> None:
    """Trains what was not trained yet and writes the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=4, help="of the winner")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--folder", type=pathlib.Path, default=DEFAULT_FOLDER)
    parser.add_argument("--write", action="store_true", help="train nothing, write what is there")
    options = parser.parse_args()

    def found(wanted: list[Training]) -> list[Result]:
        if options.write:
            return results(wanted, options.folder)
        return run_all(wanted, options.folder, options.jobs)

    tried = found([arm(name, SELECTION_SEED) for name in options.arms.split(",")])
    winner = max(tried, key=best_on_eval)["group"]
    finals = found([arm(winner, seed) for seed in range(options.seeds)])
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(tried, finals, found(short())))
    print(f"wrote {DOCUMENT}")


def best_on_eval(found: Result) -> float:
    """Returns the best epoch's accuracy on `eval`."""
    return float(max(epoch["val_accuracy"] for epoch in found["history"]))


def document(tried: list[Result], finals: list[Result], brief: list[Result]) -> str:
    """Returns the text: arms, seeds of the best, and trainings of two epochs."""
    one = tried[0]
    selection = [
        f"| {r['group']} | {_changes(r)} | {best_on_eval(r):.2%} | {_where(r)} |" for r in tried
    ]
    seeds = [
        f"| {r['seed']} | {best_on_eval(r):.2%} | {r['test_accuracy']:.2%} | {_minutes(r):.1f} "
        f"| {_usual_seconds(r):.0f} | {_where(r)} |"
        for r in finals
    ]
    parts = [
        "# The most out of the study's own network",
        f"`sequential`, {one['params']:,} parameters, unchanged; {one['epochs']} epochs of the "
        f"48,000 images of `train` in batches of {one['batch_size']}, Adam under a one-cycle rate "
        f"with peak {one['learning_rate']:g}. The study's best was 99.23% on its validation "
        "images; it has no number for the test set. Made by `python benchmarks/recipe.py`.",
        "## Selected on eval",
        "\n".join(["| arm | changes | eval | on |", "|---|---|---|---|", *selection]),
        "## Other seeds, asked about test once",
    ]
    if finals:
        head = [
            "| seed | eval | test | minutes | seconds an epoch, median | on |",
            "|---|---|---|---|---|---|",
        ]
        busy = _on_time(finals)
        parts += ["\n".join([*head, *seeds]), busy, _summary(finals)]
    else:
        parts.append("They were not trained yet.")
    return "\n\n".join([*parts, *_brief(brief)]) + "\n"


def _brief(found: list[Result]) -> list[str]:
    if not found:
        return []
    rows, means = [], {}
    for name, changes in SHORT.items():
        values = [best_on_eval(r) for r in found if r["group"] == name]
        if values:
            each = ", ".join(f"{value:.2%}" for value in values)
            what = ", ".join(f"{key} {value}" for key, value in changes.items()) or "none"
            means[name] = statistics.mean(values)
            rows.append(f"| {what} | {means[name]:.2%} | {each} |")
    one = found[0]
    return [
        "## In two epochs, as on a laptop",
        f"Batches of {one['batch_size']}, peak {one['learning_rate']:g}, everything else as above:",
        "\n".join(["| changes | eval, mean | seed by seed |", "|---|---|---|", *rows]),
        f"The best is {max(means.values()) - means[next(iter(SHORT))]:.2%} above none; "
        f"12,000 images tell {CHANCE:.2%} from chance. The profile `laptop` has a change only "
        "where it gains more than that.",
    ]


def _summary(finals: list[Result]) -> str:
    values = [r["test_accuracy"] for r in finals]
    found = interval(values)
    words = f"`{finals[0]['group']}`: {statistics.mean(values):.2%} on test, the mean over seeds"
    return f"{words}; Student's 95% interval {found[0]:.2%} to {found[1]:.2%}." if found else words


def _changes(found: Result) -> str:
    return ", ".join(f"{name} {value}" for name, value in found["changes"].items())


def _where(found: Result) -> str:
    return f"{found['machine']}, {found['policy']}"


def _minutes(found: Result) -> float:
    return float(found["train_seconds"] + found["eval_seconds"]) / 60


def _on_time(found: list[Result]) -> str:
    slowest = max(epoch["seconds"] for r in found for epoch in r["history"])
    return (
        "The minutes are those of the training and of `eval` after each epoch. Other work shared "
        f"some of the cores meanwhile, so that an epoch took up to {slowest:.0f} s."
    )


def _usual_seconds(found: Result) -> float:
    return statistics.median(epoch["seconds"] for epoch in found["history"])


if __name__ == "__main__":
    main()
