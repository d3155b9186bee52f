"""The first sections: the decision and its reason, and the models beside the study's numbers."""

from typing import Any

from components.report import study
from components.report.charts import Series, Words, xy_chart
from components.report.intervals import share_with_interval
from components.report.page_parts import NOTHING, Report, Section, Table, cell, shape

HEAD = (
    *("model", "parameters", "input", "batch", "rate", "images x epochs", "trained"),
    *("eval accuracy", "eval loss", "test accuracy", "test loss", "status"),
)


def decision(report: Report) -> Section:
    """Returns who won and why, and whether something was pushed."""
    found = report["decision"]
    winner, version = found.get("winner"), found.get("pushed_version")
    words = [f"{winner}: {found.get('reason')}" if winner else f"{found.get('reason')}."]
    if version:
        words.append(f"It was pushed as version {version}.")
    elif winner:
        words.append("No version was pushed.")
    else:
        words.append("Nothing was pushed; what was served before still is.")
    facts = [f"Profile {report['profile']}."] if report.get("profile") else []
    if report.get("total_seconds"):
        facts.append(f"The run took {report['total_seconds']:,.1f} seconds.")
    title = f"{winner} won" if winner else "No model won"
    return Section("decision", title, [*words, *([" ".join(facts)] if facts else [])])


def models(report: Report) -> Section:
    """Returns the table of models, with why each did not win, and the study's tables."""
    rows = report["models"]
    winner = report["decision"].get("winner")
    strong = next((n for n, row in enumerate(rows) if row.get("name") == winner), None)
    table = Table(
        "The models of this run. In brackets: the 95% interval (Wilson).",
        HEAD,
        [_row(row) for row in rows],
        strong=strong,
    )
    reasons = [[row.get("name", NOTHING), row["reason"]] for row in rows if row.get("reason")]
    why = [Table("Why each stands where it does", ("model", "reason"), reasons)] if reasons else []
    return Section("models", "The models", tables=[table, *why])


def _row(row: dict[str, Any]) -> list[str]:
    epochs = cell(row, "epochs", "d")
    tested = row.get("test_images")
    return [
        str(row.get("name", NOTHING)),
        cell(row, "params", ","),
        shape(row),
        cell(row, "batch_size", "d"),
        cell(row, "learning_rate", ".2g"),
        f"{cell(row, 'train_images', ',')} x {epochs}",
        _with_unit(cell(row, "train_seconds", ",.0f"), " s"),
        _share(row, "eval_accuracy", row.get("eval_images")),
        cell(row, "eval_loss", ".4f"),
        _share(row, "test_accuracy", tested) if "test_accuracy" in row else "never evaluated",
        cell(row, "test_loss", ".4f"),
        str(row.get("status", NOTHING)),
    ]


def _share(row: dict[str, Any], key: str, images: int | None) -> str:
    value = row.get(key)
    return NOTHING if value is None else share_with_interval(value, images)


def _with_unit(text: str, unit: str) -> str:
    return text if text == NOTHING else text + unit


def the_study(report: Report) -> Section:
    """Returns the notebook study's numbers, beside ours where a model is the same."""
    own = {row.get("name"): row for row in report["models"]}
    rows = [
        [
            f"study, run {run.name}",
            str(run.batch_size),
            f"{run.learning_rate:g}",
            f"{run.train_loss:.4f}",
            f"{run.train_accuracy:.2%}",
            f"{run.eval_loss:.4f}",
            share_with_interval(run.eval_accuracy, study.SEQUENTIAL_IMAGES),
        ]
        for run in study.SEQUENTIAL
    ]
    tables = [
        Table(
            "sequential: the study's three runs, after 10 epochs on 48,000 images, and this run",
            ("run", "batch", "rate", "train loss", "train accuracy", "eval loss", "eval accuracy"),
            [*rows, *([_beside(own["sequential"])] if "sequential" in own else [])],
            strong=len(rows) if "sequential" in own else None,
        ),
        _vgg16(own.get("vgg16")),
    ]
    charts = [_curves(own.get("sequential")), _vgg16_losses()]
    return Section("study", "Beside the study", [study.VGG16_WORDS], charts, tables)


def _curves(own: dict[str, Any] | None) -> dict[str, Any]:
    series = [
        Series(f"study, run {name}", [(e.epoch, e.eval_accuracy) for e in curve], number, True)
        for number, (name, curve) in enumerate(study.CURVES.items(), start=1)
    ]
    history = enumerate((own or {}).get("history", ()), start=1)
    ours = [(n, e["val_accuracy"]) for n, e in history if e.get("val_accuracy") is not None]
    series += [Series("this run", ours)] if ours else []
    described = "eval accuracy after each epoch of the study's runs A, B and C of sequential"
    described += "; whole line: this run." if ours else "."
    words = Words("The study's sequential, epoch by epoch", described, "epoch", "eval accuracy")
    return xy_chart(words, series, whole_x=True)


def _vgg16_losses() -> dict[str, Any]:
    train = [(e.epoch, e.train_loss) for e in study.VGG16]
    eval_ = [(e.epoch, e.eval_loss) for e in study.VGG16]
    series = [Series("train", train, 1, True), Series("eval", eval_, 1)]
    described = "loss of the study's vgg16 after each epoch: 0.1 at the fifth, 2e10 at the sixth."
    words = Words("The study's vgg16 explodes", described, "epoch", "loss")
    return xy_chart(words, series, log_y=True, percent=False, whole_x=True)


def _beside(row: dict[str, Any]) -> list[str]:
    epochs, images = cell(row, "epochs", "d"), cell(row, "train_images", ",")
    return [
        f"this run, {epochs} epochs, {images} images",
        cell(row, "batch_size", "d"),
        cell(row, "learning_rate", ".2g"),
        cell(row, "train_loss", ".4f"),
        cell(row, "train_accuracy", ".2%"),
        cell(row, "eval_loss", ".4f"),
        _share(row, "eval_accuracy", row.get("eval_images")),
    ]


def _vgg16(own: dict[str, Any] | None) -> Table:
    epochs = [
        [
            f"study, epoch {e.epoch}",
            f"{e.train_loss:,.4f}" if e.train_loss < 1e3 else f"{e.train_loss:,.0f}",
            f"{e.train_accuracy:.2%}",
            f"{e.eval_loss:.4f}",
            f"{e.eval_accuracy:.2%}",
        ]
        for e in study.VGG16
    ]
    history = enumerate((own or {}).get("history", ()), start=1)
    ours = [_epoch_of(shape(own or {}), number, epoch) for number, epoch in history]
    return Table(
        "vgg16: the study's epochs at 224x224, and this run's" if ours else "vgg16 in the study",
        ("epoch", "train loss", "train accuracy", "eval loss", "eval accuracy"),
        [*epochs, *ours],
    )


def _epoch_of(size: str, number: int, epoch: dict[str, Any]) -> list[str]:
    return [
        f"this run at {size}, epoch {number}",
        cell(epoch, "loss", ",.4f"),
        cell(epoch, "accuracy", ".2%"),
        cell(epoch, "val_loss", ".4f"),
        cell(epoch, "val_accuracy", ".2%"),
    ]
