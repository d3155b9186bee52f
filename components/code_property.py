"""The property by which a node of TFX's runs again when our code in it changes."""

from tfx import types
from tfx.types.component_spec import ExecutionParameter


def with_code(spec: type[types.ComponentSpec]) -> dict[str, ExecutionParameter]:
    """Returns the parameters of a spec, and `code`: a digest, see `components/code.py`."""
    return {**spec.PARAMETERS, "code": ExecutionParameter(type=str)}
