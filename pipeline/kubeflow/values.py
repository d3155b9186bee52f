"""The values of a pipeline's parameters, from words on the command line, checked by their types."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipeline.kubeflow import parameters
from pipeline.wrong_call import WrongCall

FLAG = parameters.train_flag("").name  # begins the names of the models' flags


def values_of(
    assignments: Iterable[tuple[str, str]], models: str | None, definitions: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the values to send, by name; what is not given keeps the pipeline's default.

    Args:
      assignments: names and values as they were typed.
      models: names with commas between that are to take part; None: as the pipeline says.
      definitions: the pipeline's `inputDefinitions.parameters`.

    Raises:
      WrongCall: an unknown name, a value of another type, one that is given twice or is missing.
    """
    values: dict[str, Any] = {}
    for name, text in [*assignments, *_flags(models, definitions)]:
        if name in values:
            raise WrongCall(f"expected one value for the parameter {name}; it is given twice")
        if name not in definitions:
            known = ", ".join(sorted(definitions)) or "none"
            raise WrongCall(f"expected a parameter of the pipeline ({known}); got {name!r}")
        values[name] = _value(name, text, str(definitions[name].get("parameterType")))
    flags = [name for name in definitions if name.startswith(FLAG)]
    if flags and not any(values.get(f, definitions[f].get("defaultValue", True)) for f in flags):
        raise WrongCall(f"expected at least one model to take part; got false for {flags}")
    missing = [name for name, its in definitions.items() if _is_needed(its) and name not in values]
    if missing:
        raise WrongCall(f"expected a value for {', '.join(missing)}: -P {missing[0]}=VALUE")
    return values


def parse_assignments(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Returns names and values from texts of the form `name=value`.

    Raises:
      WrongCall: a text without a name or an equals sign.
    """
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise WrongCall(f"expected -P with name=value; got {text!r}")
        pairs.append((name, value))
    return pairs


def _flags(models: str | None, definitions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what the models' flags are set to: every one is, so that a default has no say."""
    if models is None:
        return []
    flags = [name for name in definitions if name.startswith(FLAG)]
    wanted = {parameters.train_flag(n.strip()).name for n in models.split(",") if n.strip()}
    if not wanted or wanted - {*flags}:
        names = ", ".join(flag.removeprefix(FLAG).replace("_", "-") for flag in flags) or "none"
        raise WrongCall(f"expected --models with names of {names}; got {models!r}")
    return [(flag, "true" if flag in wanted else "false") for flag in flags]


def _is_needed(definition: Mapping[str, Any]) -> bool:
    return "defaultValue" not in definition and not definition.get("isOptional")


def _value(name: str, text: str, kind: str) -> Any:
    if kind not in _KINDS:
        raise WrongCall(f"expected a known type for the parameter {name}; the file says {kind}")
    words, convert = _KINDS[kind]
    try:
        value = convert(text)
    except ValueError:
        raise WrongCall(f"expected {words} for the parameter {name}; got {text!r}") from None
    if name == parameters.DATA_SHA256.name and not re.fullmatch("([0-9a-f]{64})?", text):
        raise WrongCall(f"expected 64 digits of 0-9 and a-f for {name}; got {text!r}")
    return value


def _whole(text: str) -> int:
    """Returns a number that survives KFP's JSON, whose numbers are doubles."""
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise ValueError
    return number


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _json(kind: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, kind):
            raise ValueError
        return value

    return convert


_KINDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "STRING": ("text", str),
    "NUMBER_INTEGER": ("a whole number of 0 or more", _whole),
    "NUMBER_DOUBLE": ("a number of 0 or more", _number),
    "BOOLEAN": ("true or false", _truth),
    "LIST": ("a list in JSON", _json(list)),
    "STRUCT": ("an object in JSON", _json(dict)),
}
