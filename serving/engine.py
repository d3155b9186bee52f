"""Runs one version of a SavedModel in a session of its own, as TF Serving does.

The model call releases Python's lock; sessions may be called from several threads.
"""

import pathlib
import threading
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2

from serving.errors import Code, ServingError, invalid
from serving.freezing import frozen
from serving.signatures import Arrays, Signature, TensorSpec

TAGS = ["serve"]
CODES = {
    tf.errors.InvalidArgumentError: Code.INVALID_ARGUMENT,
    tf.errors.OutOfRangeError: Code.INVALID_ARGUMENT,
    tf.errors.ResourceExhaustedError: Code.RESOURCE_EXHAUSTED,
    tf.errors.CancelledError: Code.UNAVAILABLE,
}


class LoadedModel:
    """A SavedModel in memory."""

    def __init__(self, folder: pathlib.Path, bfloat16: bool = False) -> None:
        """Loads the model.

        Args:
          bfloat16: whether oneDNN may compute in bfloat16; the weights stay as they are.

        Raises:
          OSError, tf.errors.OpError, RuntimeError: as the loader finds the files.
        """
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=_config(bfloat16))
        try:
            with self._session.graph.as_default():
                graph = tf.compat.v1.saved_model.load(self._session, TAGS, str(folder))
        except BaseException:
            self._session.close()
            raise
        self.signature_defs: Mapping[str, meta_graph_pb2.SignatureDef] = dict(graph.signature_def)
        self.signatures = {
            name: _signature(name, definition)
            for name, definition in graph.signature_def.items()
            if definition.inputs and definition.outputs
        }
        self._calls: dict[str, Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()
        self._freeze(bfloat16)

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Returns the outputs of a signature.

        Args:
          name: of a signature in `signatures`.
          inputs: an array for each input, of its dtype and shape.

        Raises:
          ServingError: the model refuses the values or fails.
        """
        signature = self.signatures[name]
        call = self._calls.get(name) or self._callable(name)
        try:
            values = call(*(inputs[key] for key in signature.inputs))
        except tf.errors.OpError as error:
            code = CODES.get(type(error), Code.INTERNAL)
            raise ServingError(code, _words(error)) from error
        except (TypeError, ValueError) as error:
            raise invalid(str(error)) from error
        return dict(zip(signature.outputs, values, strict=True))

    def warm(self, name: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Asks a signature once, so that the next request is quick; raises as `run` does."""
        LoadedModel.run(self, name, inputs)

    def close(self) -> None:
        """Frees the model; no call may be under way."""
        self._calls.clear()
        self._session.close()

    def _freeze(self, bfloat16: bool) -> None:
        """Replaces the session by one whose weights are constants, where the model allows it."""
        definitions = [self.signature_defs[name] for name in self.signatures]
        used = [
            info.name
            for d in definitions
            for side in (d.inputs, d.outputs)
            for info in side.values()
        ]
        graph = frozen(self._session, used)
        if graph is None:
            return
        self._session.close()
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=_config(bfloat16))
        with self._session.graph.as_default():
            tf.graph_util.import_graph_def(graph, name="")

    def _callable(self, name: str) -> Callable[..., list[np.ndarray]]:
        definition = self.signature_defs[name]
        signature = self.signatures[name]
        with self._lock:
            return self._calls.setdefault(
                name,
                self._session.make_callable(
                    [definition.outputs[key].name for key in signature.outputs],
                    [definition.inputs[key].name for key in signature.inputs],
                ),
            )


def _config(bfloat16: bool) -> tf.compat.v1.ConfigProto:
    # Negative: the calling thread runs the graph itself, 0.2 ms less for one digit on two cores.
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=-1)
    config.gpu_options.allow_growth = True
    if bfloat16:
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return config


def _signature(name: str, definition: meta_graph_pb2.SignatureDef) -> Signature:
    return Signature(
        name,
        definition.method_name,
        {key: _spec(definition.inputs[key]) for key in sorted(definition.inputs)},
        {key: _spec(definition.outputs[key]) for key in sorted(definition.outputs)},
    )


def _spec(info: meta_graph_pb2.TensorInfo) -> TensorSpec:
    shape = info.tensor_shape
    sizes = tuple(None if dim.size < 0 else int(dim.size) for dim in shape.dim)
    return TensorSpec(
        np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype),
        types_pb2.DataType.Name(info.dtype).removeprefix("DT_").lower(),
        None if shape.unknown_rank else sizes,
    )


def _words(error: tf.errors.OpError) -> str:
    """Returns an error's own words, without the graph's nodes that follow."""
    return str(error.message).split("\n\t [[")[0].split("\n\nOriginal stack trace")[0].strip()
