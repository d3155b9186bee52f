"""The sections on learning: the curves of each training and every trial of each search."""

from typing import Any

from components.report.charts import Series, Words, xy_chart
from components.report.page_parts import NOTHING, Report, Section, Table, cell


def curves(report: Report) -> Section:
    """Returns accuracy and loss after each epoch, on `train` and on `eval`."""
    trained = [row for row in report["models"] if row.get("history")]
    charts = [_chart(trained, "accuracy", percent=True), _chart(trained, "loss", percent=False)]
    rows = [
        [
            row["name"],
            str(number),
            cell(epoch, "accuracy", ".2%"),
            cell(epoch, "loss", ".4f"),
            cell(epoch, "val_accuracy", ".2%"),
            cell(epoch, "val_loss", ".4f"),
            cell(epoch, "seconds", ",.1f"),
        ]
        for row in trained
        for number, epoch in enumerate(row["history"], start=1)
    ]
    head = (
        *("model", "epoch", "train accuracy", "train loss", "eval accuracy", "eval loss"),
        "seconds",
    )
    text = [
        f"{row['name']}: the loss stopped being finite, so the training ended early."
        for row in trained
        if row.get("diverged")
    ]
    if not trained:
        return Section("curves", "Learning curves", ["No training is on record."])
    table = Table("Every epoch", head, rows, folded=len(rows) > 12)
    return Section("curves", "Learning curves", text, charts, [table])


def _chart(trained: list[dict[str, Any]], metric: str, percent: bool) -> dict[str, Any]:
    series = [
        Series(f"{row['name']}, {split}", _points(row, key), number, dashed=split == "train")
        for number, row in enumerate(trained)
        for split, key in (("train", metric), ("eval", f"val_{metric}"))
    ]
    names = ", ".join(row["name"] for row in trained)
    description = f"{metric} after each epoch of {names}; broken lines: train, whole lines: eval."
    words = Words(f"{metric.capitalize()} by epoch", description, "epoch", metric)
    return xy_chart(words, series, log_y=not percent, percent=percent, whole_x=True)


def _points(row: dict[str, Any], key: str) -> list[tuple[float, float]]:
    history = enumerate(row["history"], start=1)
    return [(number, epoch[key]) for number, epoch in history if epoch.get(key) is not None]


def trials(report: Report) -> Section:
    """Returns every trial: what it tried and what came of it."""
    searched = [row for row in report["models"] if row.get("trials")]
    if not searched:
        words = "No search was made: batch size and learning rate were given."
        return Section("trials", "Tuner trials", [words])
    tables = [
        Table(
            f"{row['name']}: {len(row['trials'])} trials",
            ("trial", "batch", "rate", "eval accuracy", "eval loss", "seconds", "status"),
            [_trial(trial) for trial in row["trials"]],
            strong=_chosen(row),
        )
        for row in searched
    ]
    return Section(
        "trials",
        "Tuner trials",
        ["A trial trains briefly on a part of the images. The row in bold was chosen."],
        [_trial_chart(searched)],
        tables,
    )


def _trial(trial: dict[str, Any]) -> list[str]:
    status, message = trial.get("status", NOTHING), trial.get("message")
    return [
        str(trial.get("run", trial.get("trial_id", NOTHING))),
        cell(trial, "batch_size", "g"),
        cell(trial, "learning_rate", ".2g"),
        cell(trial, "val_accuracy", ".2%"),
        cell(trial, "val_loss", ".4f"),
        cell(trial, "seconds", ",.1f"),
        f"{str(status).lower()}: {message}" if message else str(status).lower(),
    ]


def _chosen(row: dict[str, Any]) -> int | None:
    """Returns the number of the trial whose hyperparameters the training had."""
    wanted = row.get("batch_size"), row.get("learning_rate")
    found = [(t.get("batch_size"), t.get("learning_rate")) for t in row["trials"]]
    return found.index(wanted) if wanted in found else None


def _trial_chart(searched: list[dict[str, Any]]) -> dict[str, Any]:
    series = [
        Series(
            row["name"],
            [(t["learning_rate"], t["val_accuracy"]) for t in done],
            number,
            line=False,
            labels=[f"{t.get('batch_size', '')}" for t in done],
        )
        for number, row in enumerate(searched)
        for done in [[t for t in row["trials"] if "val_accuracy" in t and "learning_rate" in t]]
    ]
    description = "Accuracy on eval against the learning rate; the number at a point is its batch."
    words = Words("Trials", description, "learning rate", "accuracy on eval")
    return xy_chart(words, series, log_x=True)
