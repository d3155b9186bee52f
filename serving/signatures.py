"""What a model says of its inputs and outputs, in NumPy's terms; no TensorFlow."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
      dtype: NumPy's; object for strings, whose elements are bytes.
      type_name: TensorFlow's name of the type, `uint8` or `string` say.
      shape: sizes, None where any will do; None in all where even the rank is open.
    """

    dtype: np.dtype
    type_name: str
    shape: tuple[int | None, ...] | None

    @property
    def batched(self) -> bool:
        """Whether the first dimension is a batch of any size."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted is None or wanted == given
            for wanted, given in zip(self.shape, shape, strict=True)
        )


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to ask a model; `method` is TF Serving's name of the API that it is for."""

    name: str
    method: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @functools.cached_property
    def batched(self) -> bool:
        """Whether rows of several requests may share a call."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return bool(self.inputs) and all(spec.batched for spec in specs)


IMAGE = TensorSpec(np.dtype(np.uint8), "uint8", (None, 28, 28))
STRINGS = TensorSpec(np.dtype(object), "string", (None,))
ANSWERS = {
    "probabilities": TensorSpec(np.dtype(np.float32), "float", (None, 10)),
    "digit": TensorSpec(np.dtype(np.int64), "int64", (None,)),
}
DIGIT_CONTRACT = {
    DEFAULT_SIGNATURE: Signature(DEFAULT_SIGNATURE, PREDICT, {"image": IMAGE}, ANSWERS),
    "png": Signature("png", PREDICT, {"image_bytes": STRINGS}, ANSWERS),
    "examples": Signature("examples", PREDICT, {"examples": STRINGS}, ANSWERS),
}
