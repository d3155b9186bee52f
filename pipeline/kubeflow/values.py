"""The values of a run's parameters: what the user said, checked against the compiled pipeline."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.kubeflow.compiled import Compiled

TRAIN = "train_"
Value = str | int | bool


class WrongValue(ValueError):
    """A parameter is unknown, or its value is of another kind."""


def parameter_values(
    compiled: Compiled, given: Mapping[str, str], models: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns a value for each parameter of the pipeline.

    Args:
      given: values by name, as text.
      models: those that take part; empty for all that the pipeline has.

    Raises:
      WrongValue: names what was expected and what came.
    """
    definitions = compiled.parameters
    unknown = sorted(set(given) - set(definitions))
    if unknown:
        raise WrongValue(
            f"expected parameters of {', '.join(definitions)}; got {', '.join(unknown)}"
        )
    values = {name: definition.get("defaultValue") for name, definition in definitions.items()}
    for name, text in given.items():
        values[name] = _parsed(text, definitions[name]["parameterType"], name)
    return values | _train_flags(compiled, models)


def _train_flags(compiled: Compiled, models: Sequence[str]) -> dict[str, bool]:
    flags = [name for name in compiled.parameters if name.startswith(TRAIN)]
    wanted = {f"{TRAIN}{model.replace('-', '_')}" for model in models}
    if wanted - set(flags):
        raise WrongValue(
            f"expected models of {', '.join(f.removeprefix(TRAIN) for f in flags)}; got "
            f"{', '.join(models)}: compile the pipeline with the others first"
        )
    return {flag: flag in wanted for flag in flags} if models else {}


def _parsed(text: str, kind: str, name: str) -> Value:
    parsers: dict[str, Callable[[str], Value]] = {
        "STRING": str,
        "NUMBER_INTEGER": _count,
        "BOOLEAN": _switch,
    }
    try:
        return parsers[kind](text)
    except ValueError as error:
        raise WrongValue(f"expected {error} for {name}; got {text!r}") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number, 0 for what the profile says,")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"
