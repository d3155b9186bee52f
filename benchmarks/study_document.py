"""The text of docs/study.md from the results of `study.py`: tables, and what they allow to say."""

import math
import statistics
from collections.abc import Callable, Sequence

from document_table import table
from scipy import stats
from trainings import Result
from vgg16_document import state_of

from components.report.intervals import share_with_interval, wilson
from components.report.study import CURVES, SEQUENTIAL, SEQUENTIAL_IMAGES, StudyEpoch

# Ours by its key in a history, the study's by its attribute, and how it is written.
METRICS = (
    ("train loss", "loss", "train_loss", "{:.4f}"),
    ("train accuracy", "accuracy", "train_accuracy", "{:.2%}"),
    ("eval loss", "val_loss", "eval_loss", "{:.4f}"),
    ("eval accuracy", "val_accuracy", "eval_accuracy", "{:.2%}"),
)
LEARNED = 0.9
Rows = list[list[str]]


def interval(values: Sequence[float], of_one_more: bool = False) -> tuple[float, float] | None:
    """Returns Student's 95% interval of the mean, or of one more value; None for less than two."""
    count = len(values)
    if count < 2:
        return None
    spread = math.sqrt(1 / count + of_one_more) * statistics.stdev(values)
    reach = float(stats.t.ppf(0.975, count - 1)) * spread
    mean = statistics.mean(values)
    return mean - reach, mean + reach


def document(
    runs: dict[str, list[Result]],
    deep: dict[str, list[Result]],
    everything: list[Result],
    machine: str,
) -> str:
    """Returns the text.

    Args:
      runs: results of A, B and C by name, at least one each.
      deep: results of alexnet and vgg16 by name, which may be empty.
      everything: all trainings that there are, of other benchmarks too.
      machine: what it was run on.
    """
    seeds = min(len(found) for found in runs.values())
    policy = runs["A"][0]["policy"]
    parts = [
        "# The study, repeated",
        f"Made by `python benchmarks/study.py` on {machine}; {seeds} seeds a run, precision "
        f"`{policy}`, everything else as the study had it: Adam, 10 epochs, constant rate, the "
        "first 48,000 images for training and the last 12,000 for validation. A mean stands with "
        "Student's 95% interval over the seeds.",
        "## After ten epochs",
        table(("run", "batch", "rate", "what", "study", "ours", "each seed"), _last(runs)),
        "## What can be concluded",
        *_conclusions(runs),
        "## Did the study's runs begin anew?",
        *_beginnings(runs),
        "## Epoch by epoch",
        *(part for name in runs for part in _curve(name, runs[name])),
        *_deep(deep),
        *_alarms(everything),
    ]
    return "\n\n".join(parts) + "\n"


def _mean(values: Sequence[float], form: str) -> str:
    found, mean = interval(values), form.format(statistics.mean(values))
    return f"{mean} ({form.format(found[0])} to {form.format(found[1])})" if found else mean


def _values(found: Sequence[Result], key: str, epoch: int) -> list[float]:
    return [result["history"][epoch][key] for result in found if len(result["history"]) > epoch]


def _last(runs: dict[str, list[Result]]) -> Rows:
    rows = []
    for run in SEQUENTIAL:
        for words, key, attribute, form in METRICS:
            values = _values(runs[run.name], key, 9)
            each = ", ".join(form.format(value) for value in values)
            theirs = form.format(getattr(run, attribute))
            head = [run.name, str(run.batch_size), f"{run.learning_rate:g}"]
            rows.append([*head, words, theirs, _mean(values, form), each])
    return rows


def _conclusions(runs: dict[str, list[Result]]) -> list[str]:
    study = {run.name: run for run in SEQUENTIAL}
    a, b = study["A"].eval_accuracy, study["B"].eval_accuracy
    (low, high), (other_low, other_high) = (
        wilson(share * SEQUENTIAL_IMAGES, SEQUENTIAL_IMAGES) for share in (a, b)
    )
    meet = "overlap" if low <= other_high and other_low <= high else "do not overlap"
    return [
        f"One run says little. On 12,000 images the study's A is {share_with_interval(a, 12_000)} "
        f"and B {share_with_interval(b, 12_000)}: even the intervals of the sample {meet}, and "
        "the choice of weights and of the order of images comes on top.",
        "- " + _difference(runs, "A", "B", "the larger batch", b - a),
        "- "
        + _difference(
            runs, "B", "C", "the larger rate", study["C"].eval_accuracy - study["B"].eval_accuracy
        ),
        "- " + _where_the_best_is(runs),
    ]


def _difference(
    runs: dict[str, list[Result]], one: str, other: str, what: str, theirs: float
) -> str:
    pairs = zip(runs[one], runs[other], strict=False)
    values = [
        _values([y], "val_accuracy", 9)[0] - _values([x], "val_accuracy", 9)[0] for x, y in pairs
    ]
    found, mean = interval(values), statistics.mean(values)
    begin = f"{other} minus {one} ({what}), eval accuracy, paired by seed: study {theirs:+.2%}, "
    if not found:
        return begin + f"ours {mean:+.2%} from one seed: nothing can be concluded."
    ours = f"ours {mean:+.2%} ({found[0]:+.2%} to {found[1]:+.2%}): "
    if found[0] > 0 or found[1] < 0:
        verb = "helps" if mean > 0 else "hurts"
        return begin + ours + f"the interval leaves 0 out, so {what} {verb} here."
    return (
        begin + ours + f"the interval contains 0, so these seeds do not show that {what} matters."
    )


def _where_the_best_is(runs: dict[str, list[Result]]) -> str:
    best = {
        name: [max(range(len(r["history"])), key=lambda e: r["history"][e]["val_loss"] * -1) + 1
               for r in found]
        for name, found in runs.items()
    }  # fmt: skip
    words = "; ".join(f"{name}: {', '.join(map(str, epochs))}" for name, epochs in best.items())
    return f"The epoch with the lowest eval loss, of ten, was by seed {words}."


def _beginnings(runs: dict[str, list[Result]]) -> list[str]:
    rows, strange = [], []
    for name, found in runs.items():
        values, theirs = _values(found, "loss", 0), CURVES[name][0].train_loss
        expected = interval(values, of_one_more=True)
        inside = expected is None or expected[0] <= theirs <= expected[1]
        where = f"{expected[0]:.4f} to {expected[1]:.4f}" if expected else "unknown"
        rows.append(
            [name, f"{theirs:.4f}", _mean(values, "{:.4f}"), where, "yes" if inside else "no"]
        )
        if not inside:
            strange.append(name)
    head = ("run", "study", "ours", "one more seed would be in", "study's is in there")
    words = (
        "The training loss of the first epoch tells whether a network started from random weights."
    )
    if not strange:
        return [words, table(head, rows), "Nothing speaks against it."]
    guess = (
        f"The study's {' and '.join(strange)} began lower than networks do that start anew. The "
        "likeliest reason, which its text does not say: the notebook compiled the same model "
        "object again, and `compile` keeps the weights of what was trained before. Then its runs "
        "differ in more than batch size and rate, and their comparison has no answer. Here every "
        "run begins anew."
    )
    return [words, table(head, rows), guess]


def _curve(name: str, found: Sequence[Result]) -> list[str]:
    def row(epoch: StudyEpoch) -> list[str]:
        cells = [str(epoch.epoch)]
        for _, key, attribute, form in METRICS:
            cells.append(form.format(getattr(epoch, attribute)))
            cells.append(_mean(_values(found, key, epoch.epoch - 1), form))
        return cells

    head = ["epoch", *(f"{words}: {whose}" for words, *_ in METRICS for whose in ("study", "ours"))]
    return [f"### Run {name}", table(head, [row(epoch) for epoch in CURVES[name]])]


def _deep(deep: dict[str, list[Result]]) -> list[str]:
    if not any(deep.values()):
        return []
    write: dict[str, Callable[[Result], str]] = {
        "eval accuracy": _last_accuracy,
        "test accuracy": lambda r: f"{r['test_accuracy']:.2%}" if "failure" not in r else "-",
        "what the doctor saw": state_of,
    }
    rows = [
        [name, f"{one['side']}x{one['side']}", f"{one['images']:,} x {one['epochs']}",
         str(one["batch_size"]), f"{one['learning_rate']:g}", str(one["seed"]),
         *(form(one) for form in write.values())]
        for name, found in deep.items()
        for one in found
    ]  # fmt: skip
    head = ("model", "input", "images x epochs", "batch", "rate", "seed", *write)
    return [
        "## AlexNet and VGG16",
        "The study gives no numbers for AlexNet but that it was slower and less accurate. At the "
        "size that two cores allow, which is said in each row:",
        table(head, rows),
        "Nearest at full size is `mnist-tfx run --profile paper --models alexnet,vgg16`, which "
        "searches batch size and rate; it was not run for want of a GPU.",
    ]


def _last_accuracy(result: Result) -> str:
    history = result.get("history")
    return f"{history[-1]['val_accuracy']:.2%}" if history else "-"


def _alarms(everything: list[Result]) -> list[str]:
    """Returns how often the doctor called something sick that learned, over all trainings."""
    rows, learned, alarms = [], 0, 0
    for model in dict.fromkeys(map(_network, everything)):
        found = [result for result in everything if _network(result) == model]
        well = [result for result in found if _best(result) >= LEARNED]
        false = [r for r in well if r["diagnosis"]["sick"] or r["diagnosis"]["course"]]
        rates = sorted({result["learning_rate"] for result in well})
        shown = ", ".join(f"{rate:g}" for rate in rates)
        rows.append([model, str(len(found)), str(len(well)), shown, str(len(false))])
        learned, alarms = learned + len(well), alarms + len(false)
    head = ("model", "trainings", f"reached {LEARNED:.0%} on eval", "their rates", "called sick")
    return [
        "## The doctor's false alarms",
        f"All trainings of `benchmarks/results`, by this and the other benchmarks: {learned} "
        f"learned, and the doctor called {alarms or 'none'} of them sick at any time.",
        table(head, rows),
    ]


def _network(result: Result) -> str:
    return (result.get("variant") or {}).get("module", result["model"])


def _best(result: Result) -> float:
    """Returns the best accuracy on `eval`, 0 where a training did not get through an epoch."""
    return max((epoch["val_accuracy"] for epoch in result.get("history", ())), default=0.0)
