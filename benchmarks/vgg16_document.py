"""The text of docs/vgg16.md from the results of `vgg16.py`: what went wrong, and what mends it."""

from collections.abc import Sequence

from trainings import Result

LEARNED = 1.0  # a mean loss below which a network clearly knows digits; chance is ln 10 = 2.30
HEAD = ("measure", "seeds", "healthy", "eval accuracy, seed by seed", "what the doctor said")


def document(arms: dict[str, list[Result]], machine: str) -> str:
    """Returns the text for the results by arm; an arm may be empty."""
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
        "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows)),
        "## Seed by seed",
        *(f"**{name}**\n\n" + "\n".join(map(_line, found)) for name, found in done.items()),
    ]
    return "\n\n".join(parts) + "\n"


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
    states = [_state(result) for result in found]
    said = ", ".join(f"{state} {states.count(state)}x" for state in dict.fromkeys(states))
    well = sum(map(healthy, found))
    return [name, str(len(found)), f"{well} of {len(found)}", accuracies, said]


def _state(result: Result) -> str:
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
