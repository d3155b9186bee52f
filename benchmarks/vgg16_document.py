"""The text of docs/vgg16.md from the results of `vgg16.py`: what went wrong, and what mends it."""

from collections.abc import Sequence
from typing import Any

from document_table import table
from trainings import Result

LEARNED = 1.0  # a mean loss below which a network clearly knows digits; chance is ln 10 = 2.30
LAST_CONVOLUTION = 12  # its place among the layers with weights
# What the tables of November 2026 showed; read it against them when they are made anew.
VERDICT = """## Was it vanishing gradients?

They are how it ends, not why. Where the network is lost here, the first layer's gradient does
vanish, to 1e-7 and then 0 beside 0.2 in the last layer, because the ReLUs of the last
convolutions are 0 on every image and let nothing through. They died of steps that were too large:
the narrow network at a rate of 0.1 goes from a loss of 2.3 to about a million at its second step
with every seed; at lower rates the loss only jumps, the ReLUs die, and it stays at ln 10. That is
also the order of the study's table: a loss of 2e10, which no vanishing gradient makes, then
2.3010, which is ln 10, and one class for everything.

The rate is what was wrong. At 0.001 the narrow network learns and the one that is eight times as
wide dies within 120 steps; the same change of every weight moves a wider sum further. Over five
seeds each, a tenth of the rate mends it alone every time, He's start once, and a warm-up to the
same rate and a bound on the gradient never: Adam divides by the gradient's size, so a bound on it
hardly makes a step smaller. All four together learn with every seed, and more in the same 120
steps than the rate alone. The start and the bound are built into `vgg16` here, and its rates are
0.00008 to 0.00025 under one cycle, which begins with a warm-up.

Not reproduced: a network that learns for five epochs first. Three trainings of the narrow one
over 4,800 steps stayed well; the wide one at 224x224 for six epochs needs a GPU."""
HEAD = ("measure", "seeds", "healthy", "eval accuracy, seed by seed", "what the doctor said")


def document(arms: dict[str, list[Result]], narrow: list[Result], machine: str) -> str:
    """Returns the text for the results by arm, and for the narrow network; each may be empty."""
    done = {name: found for name, found in arms.items() if found}
    one = next(found[0] for found in done.values())
    rows = [_row(name, found) for name, found in done.items()]
    parts = [
        "# What happened to the study's VGG16",
        "In its sixth epoch, at 224x224, the study's VGG16 went from a loss of 0.1 to 2e10 and "
        "then answered one digit for everything; its text guesses at vanishing gradients. Here its "
        "set-up (Keras' default start, Adam at a constant 0.001, batches of 100, no bound on the "
        f"gradient) is repeated at {one['side']}x{one['side']}, which two cores allow, for the "
        f"first {one['images'] // one['batch_size']} steps, and then mended by one measure at a "
        "time and by all together. The architecture and the number of parameters stay.",
        f"Made by `python benchmarks/vgg16.py` on {machine}, precision `{one['policy']}`.",
        table(HEAD, rows),
        *_last_looks(done),
        *_narrow(narrow),
        VERDICT,
        "## Seed by seed",
        *(f"**{name}**\n\n" + "\n".join(map(_line, found)) for name, found in done.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _last_looks(arms: dict[str, list[Result]]) -> list[str]:
    """Returns what the network was like at the doctor's last two looks, where it did not learn."""
    rows = []
    for name, found in arms.items():
        for result in found:
            if not healthy(result):
                rows += [[name, str(result["seed"]), *cells] for cells in _looks(result["seen"])]
    if not rows:
        return []
    head = ("measure", "seed", "step", "loss", "gradient norm: first layer", "last layer",
            "dead ReLUs: first layer", "convolution 13")  # fmt: skip
    return ["## Where nothing was learned, at the doctor's last two looks", table(head, rows)]


def _looks(seen: dict[str, Any]) -> list[list[str]]:
    def number(value: float | None) -> str:
        return "not finite" if value is None else f"{value:.2g}"

    columns = zip(seen["steps"], seen["loss"], seen["gradient"], seen["dead"], strict=True)
    return [
        [str(step), number(loss), number(gradient[0]), number(gradient[-1]),
         f"{dead[0]:.0%}", f"{dead[LAST_CONVOLUTION]:.0%}"]
        for step, loss, gradient, dead in columns
    ]  # fmt: skip


def _narrow(found: Sequence[Result]) -> list[str]:
    if not found:
        return []
    rows = [
        [f"{r['learning_rate']:g}", str(r["seed"]), str(len(r.get("history", ()))),
         "-" if "failure" in r else f"{_accuracy(r):.1%}", _words(r)]
        for r in found
    ]  # fmt: skip
    return [
        "## An eighth as wide, through the study's ten epochs",
        "The same thirteen convolutions and three dense layers with an eighth of the filters and "
        "units (531,634 parameters), set up as the study's, on all 48,000 images:",
        table(("rate", "seed", "epochs", "eval accuracy", "what the doctor said"), rows),
    ]


def healthy(result: Result) -> bool:
    """Whether a training learned and ended well."""
    if "failure" in result or result["diagnosis"]["sick"] or result["diagnosis"]["course"]:
        return False
    return bool(result["history"][-1]["loss"] < LEARNED or _accuracy(result) > 0.5)


def _accuracy(result: Result) -> float:
    history = result.get("history") or [{}]
    return float(history[-1].get("val_accuracy", 0.0))


def _row(name: str, found: Sequence[Result]) -> list[str]:
    accuracies = ", ".join(
        "failed" if "failure" in result else f"{_accuracy(result):.1%}" for result in found
    )
    states = [state_of(result) for result in found]
    said = ", ".join(f"{state} {states.count(state)}x" for state in dict.fromkeys(states))
    well = sum(map(healthy, found))
    return [name, str(len(found)), f"{well} of {len(found)}", accuracies, said]


def state_of(result: Result) -> str:
    """Returns the doctor's word for a training."""
    if "failure" in result:
        return _words(result).partition(":")[0]
    course = result["diagnosis"]["course"]
    return course.partition(":")[0] if course else str(result["diagnosis"]["state"])


def _words(result: Result) -> str:
    if "failure" not in result:
        return str(result["diagnosis"]["words"])
    return str(result["failure"]).partition("the first epoch was not: ")[2] or result["failure"]


def _line(result: Result) -> str:
    return f"- seed {result['seed']}: {_words(result)}"
