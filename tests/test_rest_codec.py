"""JSON to arrays and back: both ways of reading agree, and what does not fit is said."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from serving.errors import ServingError
from serving.rest import answers, codec
from serving.rest.explain import careful_array
from serving.rest.quick import quick_array
from serving.signatures import Signature, TensorSpec

MOST = 8


def spec(kind: type, name: str, *shape: int | None) -> TensorSpec:
    return TensorSpec(np.dtype(kind), name, shape)


ANSWER = {"y": spec(np.float32, "float", None)}
IMAGE = Signature("s", "", {"x": spec(np.uint8, "uint8", None, 2, 2)}, ANSWER)
WEIGHT = Signature("s", "", {"x": spec(np.float32, "float", None)}, ANSWER)
WORD = Signature("s", "", {"x": spec(object, "string", None)}, ANSWER)


def read(signature: Signature, **document: Any) -> np.ndarray:
    body = json.dumps(document).encode()
    booleans = b"true" in body or b"false" in body
    return codec.read_inputs(codec.parse(body), signature, MOST, booleans)[0]["x"]


def refusal(signature: Signature, **document: Any) -> str:
    with pytest.raises(ServingError) as caught:
        read(signature, **document)
    assert caught.value.http_status == 400
    return caught.value.message


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_numbers_become_the_signature_s_type(form: str) -> None:
    array = read(IMAGE, **{form: [[[0, 1], [2, 255]]]})
    assert array.dtype == np.uint8
    assert array.tolist() == [[[0, 1], [2, 255]]]


@pytest.mark.parametrize("value", [256, -1, 1.0, True, None, "1", 2**70, {"b64": "AA=="}])
def test_what_is_no_uint8_is_refused(value: Any) -> None:
    assert "uint8" in refusal(IMAGE, instances=[[[0, 1], [2, value]]])


@pytest.mark.parametrize("value", [2**24, 1e39, True, "1", None])
def test_what_float32_cannot_hold_is_refused(value: Any) -> None:
    assert "float" in refusal(WEIGHT, instances=[1.5, value])


KINDS = (
    (np.uint8, "uint8"),
    (np.int64, "int64"),
    (np.float16, "half"),
    (np.float32, "float"),
    (np.float64, "double"),
)
ODD = (0, -1, 255, 256, 2**11, 2**24, 2**53 + 1, 2**63, 2**64, 0.5, 7e4, 1e39, -0.0, np.nan, np.inf)


def nested(generator: np.random.Generator, depth: int) -> Any:
    """Returns lists of numbers, every so often an odd one or a list of another length."""
    if depth:
        length = 2 if generator.random() < 0.95 else 3
        return [nested(generator, depth - 1) for _ in range(length)]
    value = int(generator.choice(100)) if generator.random() < 0.5 else generator.random()
    return ODD[generator.choice(len(ODD))] if generator.random() < 0.1 else value


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_what_the_quick_way_takes_the_careful_way_reads_alike(kind: type, name: str) -> None:
    generator = np.random.default_rng(0)
    wanted, taken = spec(kind, name), 0
    for _ in range(500):
        values = nested(generator, int(generator.choice(4)))
        if generator.random() < 0.5:  # whole numbers alone, else few would be taken as such
            values = json.loads(json.dumps(values), parse_float=lambda text: 1)
        found = quick_array(values, wanted)
        if found is not None:
            taken += 1
            np.testing.assert_array_equal(found, careful_array(values, wanted), strict=True)
    assert taken > 50


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[[0, 1], [2]]], "list at unexpected size: 1 at level: 2 expected size: 2"),
        ([[[0, 1], 2]], "2 found at incorrect level: 3 in the JSON DOM. Expected at level: 3"),
        ([[[0, 1], [2, [3]]]], "list at unexpected level: 3"),
        (5, "input 'x' must have shape [-1, 2, 2]; got []"),
        ([], "input 'x' must have shape [-1, 2, 2]; got [0]"),
    ],
)
def test_lists_that_are_no_array_are_refused(x: Any, words: str) -> None:
    assert words in refusal(IMAGE, inputs=x)


def test_rows_of_different_shapes_are_refused_with_the_place() -> None:
    words = refusal(WEIGHT, instances=[[0.5, 1.5], [0.5]])
    assert words.startswith("Failed to process element: 1 of 'instances' list.")
    assert "Expecting tensor size: 2 but got: 1" in words


def test_booleans_are_read_as_such_and_as_nothing_else() -> None:
    flag = Signature("s", "", {"x": spec(np.bool_, "bool", None)}, ANSWER)
    assert read(flag, instances=[True, False]).tolist() == [True, False]
    assert "not of expected type: bool" in refusal(flag, instances=[1, 0])


def test_a_scalar_input_is_a_value_alone() -> None:
    scalar = Signature("s", "", {"x": spec(np.float32, "float")}, {})
    assert read(scalar, inputs=0.5) == np.float32(0.5)


@pytest.mark.parametrize("value", ["?", "A", "AA=A"])
def test_base64_that_is_none_is_refused(value: str) -> None:
    assert "Unable to base64 decode" in refusal(WORD, instances=[{"b64": value}])


@pytest.mark.parametrize("rows", [MOST + 1, 1_000])
@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_too_many_rows_are_refused(form: str, rows: int) -> None:
    words = f"expected 1 to {MOST} instances in a request; got {rows}"
    assert words in refusal(WEIGHT, **{form: [0.5] * rows})


def test_another_shape_is_refused_with_both() -> None:
    words = refusal(IMAGE, instances=[[[0, 1, 2], [3, 4, 5]]])
    assert words == "input 'x' must have shape [-1, 2, 2]; got [1, 2, 3]"


def test_strings_and_base64_become_bytes() -> None:
    assert read(WORD, instances=["é", {"b64": "AP8="}]).tolist() == ["é".encode(), b"\x00\xff"]


def test_nan_is_a_float_and_no_integer() -> None:
    body = b'{"instances": [NaN, -Infinity]}'
    array = codec.read_inputs(codec.parse(body), WEIGHT, MOST, False)[0]["x"]
    assert np.isnan(array[0])
    assert array[1] == -np.inf
    with pytest.raises(ServingError, match="not of expected type: uint8"):
        codec.read_inputs(codec.parse(b'{"inputs": [NaN]}'), IMAGE, MOST, False)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"x": 1e400}', b"\xff", b'"NaN'])
def test_what_is_no_json_is_said(body: bytes) -> None:
    with pytest.raises(ServingError, match="JSON Parse error"):
        codec.parse(body)


def test_floats_are_written_shortest_and_whole_ones_with_a_point() -> None:
    written = answers.write_outputs({"y": np.array([0.2, 3.0], np.float32)}, row=True)
    assert written == b'{"predictions":[0.2,3.0]}'


def test_what_is_not_finite_is_written_by_name() -> None:
    written = answers.write_outputs({"y": np.array([np.nan, np.inf, 0.2], np.float32)}, row=False)
    assert written == b'{"outputs": [NaN, Infinity, 0.2]}'


def test_scalars_booleans_and_halves_are_written() -> None:
    outputs = {"n": np.int64(7), "yes": np.bool_(True), "half": np.float16(0.5)}
    written = json.loads(answers.write_outputs(outputs, row=False))  # type: ignore[arg-type]
    assert written == {"outputs": {"n": 7, "yes": True, "half": 0.5}}
    with pytest.raises(ServingError, match="n has no shape information"):
        answers.write_outputs({"n": np.array(7)}, row=True)


def test_outputs_of_different_lengths_have_no_rows() -> None:
    with pytest.raises(ServingError, match="b has inconsistent batch size: 1 expecting: 2"):
        answers.write_outputs({"a": np.zeros(2), "b": np.zeros(1)}, row=True)


def test_several_outputs_make_objects_and_bytes_are_base64_by_name() -> None:
    outputs = {"n": np.array([7]), "raw_bytes": np.array([b"\xff"], object)}
    row = json.loads(answers.write_outputs(outputs, row=True))
    assert row == {"predictions": [{"n": 7, "raw_bytes": {"b64": "/w=="}}]}


def test_texts_among_numbers_are_not_given_the_room_of_the_longest() -> None:
    def peak(values: list[object]) -> int:
        tracemalloc.start()
        assert quick_array(values, spec(np.float32, "float")) is None
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(["a" * 100_000, *(["b"] * 1_000)]) < 1_000_000
    assert peak([1, "a" * 1_000_000]) < 1_000_000
