"""Models in memory: their signatures, their answers in either precision, and their errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import Code, ServingError
from serving.signatures import DIGIT_CONTRACT

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(5).integers(0, 256, (16, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def model(served_digits: Path) -> Iterator[Any]:
    from serving.engine import LoadedModel

    loaded = LoadedModel(served_digits / "1")
    yield loaded
    loaded.close()


def refusal(call: Callable[[], object]) -> ServingError:
    with pytest.raises(ServingError) as caught:
        call()
    return caught.value


def test_a_model_says_its_signatures(model: Any) -> None:
    assert model.signatures == DIGIT_CONTRACT
    assert model.signatures["serving_default"].batched


def test_the_answers_are_those_of_the_saved_model(model: Any, served_digits: Path) -> None:
    import tensorflow as tf

    answer = model.run("serving_default", {"image": IMAGES})
    expected = tf.saved_model.load(str(served_digits / "1")).signatures["serving_default"](
        image=tf.constant(IMAGES)
    )
    assert answer["digit"].tolist() == expected["digit"].numpy().tolist()
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=1e-6)


def test_large_calls_in_bfloat16_stay_near_float32(model: Any, served_digits: Path) -> None:
    from serving.two_precisions import LARGE, TwoPrecisions

    both = TwoPrecisions(served_digits / "1")
    both.warm("serving_default", {"image": IMAGES[:1]})
    for rows in (1, LARGE - 1, LARGE, len(IMAGES)):
        inputs = {"image": IMAGES[:rows]}
        expected = model.run("serving_default", inputs)["probabilities"]
        answer = both.run("serving_default", inputs)["probabilities"]
        exact = rows < LARGE
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6 if exact else 0.05)
    both.close()


def test_what_the_graph_refuses_is_the_caller_s_fault(model: Any) -> None:
    content = np.array([b"GIF89a no PNG"], object)
    error = refusal(lambda: model.run("png", {"image_bytes": content}))
    assert error.code is Code.INVALID_ARGUMENT
    assert "PNG" in error.message
    assert "[[" not in error.message, "the graph's nodes are nobody's business"


def test_an_array_of_another_shape_is_the_caller_s_fault(model: Any) -> None:
    image = np.zeros((1, 27, 28), np.uint8)
    error = refusal(lambda: model.run("serving_default", {"image": image}))
    assert error.code is Code.INVALID_ARGUMENT


def test_what_is_no_model_is_not_loaded(tmp_path: Path) -> None:
    from serving.engine import LoadedModel

    with pytest.raises(OSError, match=r"saved_model\.pb"):
        LoadedModel(tmp_path)


def tensors(**fields: Any) -> Any:
    """Returns a Predict request with one tensor `image`."""
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
    from tensorflow_serving.apis import predict_pb2

    sizes = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in fields.pop("shape")]
    shape = tensor_shape_pb2.TensorShapeProto(dim=sizes)
    tensor = tensor_pb2.TensorProto(tensor_shape=shape, **fields)
    return predict_pb2.PredictRequest(inputs={"image": tensor})


UINT8 = 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dtype": 1, "shape": (1, 28, 28)}, "must be of type uint8; got float"),
        ({"dtype": 9_999, "shape": (1, 28, 28)}, "must be of type uint8; got 9999"),
        ({"dtype": UINT8, "shape": (28, 28)}, r"must have shape \[-1, 28, 28\]; got \[28, 28\]"),
        ({"dtype": UINT8, "shape": (-1, 28, 28)}, "is too large"),
        ({"dtype": UINT8, "shape": (2**40, 28, 28), "int_val": [0]}, "1 to 1024 instances"),
        ({"dtype": UINT8, "shape": (0, 28, 28)}, "1 to 1024 instances"),
        ({"dtype": UINT8, "shape": (1, 28, 28), "tensor_content": b"short"}, "no valid tensor"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(fields: dict[str, Any], words: str) -> None:
    from serving.grpc_tensors import read_inputs
    from serving.options import Limits

    request = tensors(**fields)
    signature = DIGIT_CONTRACT["serving_default"]
    with pytest.raises(ServingError, match=words) as caught:
        read_inputs(request, signature, Limits())
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_one_large_string_for_many_rows_is_refused() -> None:
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
    from tensorflow_serving.apis import predict_pb2

    from serving.grpc_tensors import read_inputs
    from serving.options import Limits

    limits = Limits()
    size = tensor_shape_pb2.TensorShapeProto.Dim(size=limits.instances)
    shape = tensor_shape_pb2.TensorShapeProto(dim=[size])
    large = bytes(limits.body_bytes // limits.instances + 1)
    request = predict_pb2.PredictRequest(
        inputs={
            "image_bytes": tensor_pb2.TensorProto(dtype=7, tensor_shape=shape, string_val=[large])
        }
    )
    with pytest.raises(ServingError, match="repeats too large a string"):
        read_inputs(request, DIGIT_CONTRACT["png"], limits)


def test_a_tensor_that_fits_is_the_array(model: Any) -> None:
    from serving.grpc_tensors import read_inputs
    from serving.options import Limits

    request = tensors(dtype=UINT8, shape=(16, 28, 28), tensor_content=IMAGES.tobytes())
    found = read_inputs(request, model.signatures["serving_default"], Limits())
    np.testing.assert_array_equal(found["image"], IMAGES)
