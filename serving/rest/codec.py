"""Reads the JSON of a request: the row and column forms of TF Serving's REST API."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from serving.errors import invalid
from serving.rest.explain import careful_array, careful_rows, is_base64, shown
from serving.rest.quick import quick_array
from serving.signatures import DEFAULT_SIGNATURE, Arrays, Signature, TensorSpec

NOT_FINITE = (b"NaN", b"Infinity")


def parse(body: bytes) -> dict[str, Any]:
    """Returns the request object; NaN and Infinity are admitted, as TF Serving admits them.

    Raises:
      ServingError: the body is no JSON object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not any(token in body for token in NOT_FINITE):
            raise invalid(f"JSON Parse error: {error}") from error
        document = _parse_not_finite(body)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def _parse_not_finite(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the name of the signature that a request wants."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be "
            "a string value."
        )
    return name or DEFAULT_SIGNATURE


def read_inputs(
    document: Mapping[str, Any], signature: Signature, most: int, booleans: bool
) -> tuple[Arrays, bool]:
    """Returns the inputs of a request and whether it has the row form.

    Args:
      most: instances that are admitted.
      booleans: whether the body may hold any, which NumPy would take for numbers.

    Raises:
      ServingError: they do not fit the signature.
    """
    row = "instances" in document
    if row and "inputs" in document:
        raise invalid(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist"
        )
    if row:
        arrays = _rows(document["instances"], signature, most, booleans)
    elif "inputs" in document:
        values = _named(document["inputs"], signature)
        if signature.batched:
            _check_counts(values, signature, most)
        arrays = {key: _array(values[key], s, booleans) for key, s in signature.inputs.items()}
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    for key, spec in signature.inputs.items():
        check_shape(arrays[key].shape, spec, key)
    check_rows(arrays, signature, most)
    return arrays, row


def check_rows(arrays: Arrays, signature: Signature, most: int) -> None:
    """Checks that all inputs of a batched signature have the same, admitted number of rows."""
    if not signature.batched:
        return
    rows = {len(array) for array in arrays.values()}
    if len(rows) != 1:
        raise invalid(f"expected inputs with the same first dimension; got {sorted(rows)}")
    (count,) = rows
    if not 1 <= count <= most:
        raise invalid(f"expected 1 to {most} instances in a request; got {count}: send fewer")


def check_shape(shape: tuple[int, ...], spec: TensorSpec, name: str) -> None:
    """Checks an input's shape against the signature."""
    if not spec.admits(shape):
        wanted = [-1 if size is None else size for size in spec.shape or ()]
        raise invalid(f"input {name!r} must have shape {wanted}; got {list(shape)}")


def _rows(instances: Any, signature: Signature, most: int, booleans: bool) -> Arrays:
    """Returns the inputs of the row form."""
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {shown(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid("JSON Value: [] No values in 'instances' array")
    if len(instances) > most:
        raise invalid(f"expected 1 to {most} instances in a request; got {len(instances)}")
    if not isinstance(instances[0], dict) and len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    objects = _are_objects(instances, set(signature.inputs))
    arrays: Arrays = {}
    for key, spec in signature.inputs.items():
        items = [item[key] for item in instances] if objects else instances
        array = None if booleans else quick_array(items, spec)
        arrays[key] = careful_rows(items, spec, key if objects else "") if array is None else array
    return arrays


def _are_objects(instances: list[Any], names: set[str]) -> bool:
    """Returns whether the items are objects of named inputs; all are, or none is."""
    objects = isinstance(instances[0], dict) and not is_base64(instances[0])
    for place, item in enumerate(instances):
        is_object = isinstance(item, dict) and not is_base64(item)
        if objects and not is_object:
            raise invalid(f"Expecting object but got list at item {place} of input list")
        if not objects and is_object:
            raise invalid(f"Expecting value/list but got object at item {place} of input list")
        if objects and set(item) != names:
            _refuse_keys(place, item, names)
    return objects


def _refuse_keys(place: int, item: dict[str, Any], names: set[str]) -> None:
    unknown = [name for name in item if name not in names]
    if unknown:
        raise invalid(
            f"Failed to process element: {place} key: {unknown[0]} of 'instances' list. Error: "
            f"JSON object: does not have named input: {unknown[0]}"
        )
    raise invalid(
        f"Failed to process element: {place} of 'instances' list. JSON object: {shown(item)} keys "
        f"must be equal to: {','.join(sorted(names))}"
    )


def _named(inputs: Any, signature: Signature) -> dict[str, Any]:
    """Returns the value of each input from the column form."""
    if not isinstance(inputs, dict) or is_base64(inputs):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        return {next(iter(signature.inputs)): inputs}
    for name in signature.inputs:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return inputs


def _check_counts(values: Mapping[str, Any], signature: Signature, most: int) -> None:
    """Refuses too many rows before they are looked at one by one."""
    for key in signature.inputs:
        if isinstance(values[key], list) and len(values[key]) > most:
            raise invalid(f"expected 1 to {most} instances in a request; got {len(values[key])}")


def _array(value: Any, spec: TensorSpec, booleans: bool) -> np.ndarray:
    array = None if booleans else quick_array(value, spec)
    return careful_array(value, spec) if array is None else array
