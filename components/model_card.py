"""The model card of a version: what it is, how good it is, where its limits are; Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.report.files import MODEL_CARD_FILE
from components.report.intervals import share_with_interval
from components.saved_model import EXTRA_FOLDER

CARD_IN_MODEL = f"{EXTRA_FOLDER}/{MODEL_CARD_FILE}"  # below a SavedModel
UNKNOWN = "not recorded"
LIMITS = (
    "It knows handwritten digits as MNIST has them: one digit, grey, 28 by 28 pixels, light ink on "
    "a dark ground, centred by mass. It was tried on nothing else.",
    "It answers one of ten digits whatever it is shown: it has no answer for a letter, a blank "
    "image or two digits, and its probability is no measure of that.",
    "MNIST was written by employees of the US Census Bureau and by US high-school students; hands "
    "of other places and ages are not in it.",
    "The accuracy on `eval` chose the model, so it is a little too good for the winner; the "
    "accuracy on `test` chose nothing but whether it is good enough.",
)


def model_card(
    row: Mapping[str, Any], data: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> str:
    """Returns the Markdown.

    Args:
      row: what is known of the model, as in `comparison.json`.
      data: `sha256`, and the images of each split by name.
      others: the rows of the models that it was compared with.
    """
    parts = [
        f"# Model card: {row['name']} for MNIST",
        _what(row),
        "## Data",
        _data(data),
        "## Figures",
        _figures(row),
        "## By digit, on `test`",
        _by_digit(row),
        "## How it was chosen",
        _chosen(row, others),
        "## Hyperparameters",
        _hyperparameters(row),
        "## Limits",
        "\n".join(f"- {words}" for words in LIMITS),
    ]
    return "\n\n".join(parts) + "\n"


def _what(row: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, row.get("input_shape") or ())) or UNKNOWN
    size = f"{row['model_bytes'] / 1e6:,.1f} MB" if row.get("model_bytes") else UNKNOWN
    latency = f"{row['latency_ms']:.1f} ms" if row.get("latency_ms") else UNKNOWN
    return (
        "A convolutional network of Keras that reads one handwritten digit. It takes an image of "
        f"28 by 28 pixels, which its own graph brings to {shape}, and answers ten probabilities "
        f"and the digit. Parameters: {_number(row, 'params', ',')}; size: {size}; one digit "
        f"through REST: {latency} where it was measured."
    )


def _number(row: Mapping[str, Any], key: str, form: str) -> str:
    value = row.get(key)
    return UNKNOWN if value is None else format(value, form)


def _data(data: Mapping[str, Any]) -> str:
    counts = [[name, f"{n:,}"] for name, n in data.items() if isinstance(n, int)]
    digest = data.get("sha256") or UNKNOWN
    return f"MNIST, SHA-256 of the content `{digest}`.\n\n" + _table(("split", "images"), counts)


def _figures(row: Mapping[str, Any]) -> str:
    images = {
        "train": row.get("train_images"),
        "eval": row.get("eval_images"),
        "test": row.get("test_images"),
    }
    rows = [
        [
            split,
            _number(images, split, ","),
            _share(row, split, n),
            _number(row, f"{split}_loss", ".4f"),
        ]
        for split, n in images.items()
    ]
    head = ("split", "images", "accuracy (95% interval)", "loss")
    words = "The figures on `train` are means over the best epoch, while the weights still moved."
    doctor = (row.get("diagnosis") or {}).get("words")
    seen = f" Of the training the doctor says: {doctor}." if doctor else ""
    return f"{_table(head, rows)}\n\n{words}{seen}"


def _share(row: Mapping[str, Any], split: str, images: int | None) -> str:
    value = row.get(f"{split}_accuracy")
    if value is None:
        return UNKNOWN
    return share_with_interval(value, None if split == "train" else images)


def _by_digit(row: Mapping[str, Any]) -> str:
    images = row.get("test_images_by_digit") or {}
    rows = [
        [digit, _number(images, digit, ","), share_with_interval(share, images.get(digit))]
        for digit, share in (row.get("test_accuracy_by_digit") or {}).items()
    ]
    return _table(("digit", "images", "accuracy (95% interval)"), rows) if rows else f"{UNKNOWN}."


def _chosen(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    words = [
        "Of the models that are good enough on `test` and answer rightly through the model server, "
        "the most accurate on `eval`; where an exact McNemar test cannot tell models apart, the "
        "quickest. Here:",
        f"- {row['name']}: {row.get('reason') or UNKNOWN}",
        *(f"- {o.get('name')} ({o.get('status', UNKNOWN)}): {o.get('reason')}" for o in others),
    ]
    return words[0] + "\n\n" + "\n".join(words[1:])


def _hyperparameters(row: Mapping[str, Any]) -> str:
    rows = [
        ["batch size", _number(row, "batch_size", "d")],
        ["learning rate", _number(row, "learning_rate", ".4g")],
        ["epochs", _number(row, "epochs", "d")],
        ["best epoch", _number(row, "best_epoch", "d")],
        ["precision of the training", str(row.get("precision") or UNKNOWN)],
        ["trials of the search", str(len(row.get("trials") or ()) or "none: given")],
    ]
    return _table(("what", "value"), rows)


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
