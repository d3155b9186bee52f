"""Turns the tensors of a gRPC request into arrays, within the limits."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from serving.errors import invalid
from serving.options import Limits
from serving.rest import codec
from serving.signatures import Arrays, Signature, TensorSpec


def read_inputs(
    request: predict_pb2.PredictRequest, signature: Signature, limits: Limits
) -> Arrays:
    """Returns the inputs of a request as arrays of the signature's dtypes and shapes.

    Raises:
      ServingError: they do not fit the signature or the limits.
    """
    if set(request.inputs) != set(signature.inputs):
        raise invalid(
            f"input size does not match signature: expected {', '.join(signature.inputs)}; got "
            f"{', '.join(sorted(request.inputs)) or 'none'}"
        )
    arrays = {
        key: _array(request.inputs[key], spec, key, limits)
        for key, spec in signature.inputs.items()
    }
    codec.check_rows(arrays, signature, limits.instances)
    return arrays


def _array(
    tensor: tensor_pb2.TensorProto, spec: TensorSpec, name: str, limits: Limits
) -> np.ndarray:
    """Returns a tensor as an array; its size is checked before anything is allocated."""
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    wanted = tf.as_dtype(spec.type_name if spec.type_name != "float" else "float32")
    if tensor.dtype != wanted.as_datatype_enum:
        known = dict(zip(types_pb2.DataType.values(), types_pb2.DataType.keys(), strict=True))
        given = known.get(tensor.dtype, str(tensor.dtype)).removeprefix("DT_").lower()
        raise invalid(f"input {name!r} must be of type {spec.type_name}; got {given}")
    codec.check_shape(shape, spec, name)
    if spec.batched and shape[0] > limits.instances:
        raise invalid(f"expected 1 to {limits.instances} instances in a request; got {shape[0]}")
    elements = int(np.prod(shape, dtype=object)) if shape else 1
    if elements < 0 or elements * max(spec.dtype.itemsize, 1) > limits.body_bytes:
        raise invalid(f"input {name!r} of shape {list(shape)} is too large")
    if len(tensor.string_val) == 1 and elements * len(tensor.string_val[0]) > limits.body_bytes:
        raise invalid(f"input {name!r} of shape {list(shape)} repeats too large a string")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise invalid(f"input {name!r} is no valid tensor: {error}") from error
