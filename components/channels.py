"""What executors are given, and the inputs of a node that takes one artifact per model."""

from collections.abc import Iterable, Mapping

from tfx import types
from tfx.types import artifact_utils
from tfx.types.component_spec import ChannelParameter

from components.left_out import LEFT_OUT

Artifacts = dict[str, list[types.Artifact]]  # of an executor, by input or output key


def key_of(kind: str, name: str) -> str:
    """Returns the input's key for one model, such as `model_alexnet_book`."""
    return f"{kind}_{name.replace('-', '_')}"


def artifact_of(kind: str, name: str, input_dict: Artifacts) -> types.Artifact:
    """Returns the artifact of one model that an executor was given."""
    return artifact_utils.get_single_instance(input_dict[key_of(kind, name)])


def uri_of(kind: str, name: str, input_dict: Artifacts) -> str:
    """Returns where the artifact of one model is."""
    return str(artifact_of(kind, name, input_dict).uri)


def taking_part(names: Iterable[str], kind: str, input_dict: Artifacts) -> list[str]:
    """Returns the models that were not left out of the run, in order.

    Args:
      kind: of the inputs whose artifacts say so.
    """
    return [
        name
        for name in names
        if not artifact_of(kind, name, input_dict).get_int_custom_property(LEFT_OUT)
    ]


def channel_inputs(
    kind: str, artifact_type: type[types.Artifact], names: Iterable[str]
) -> dict[str, ChannelParameter]:
    """Returns the part of a component's INPUTS that takes one artifact per model."""
    return {key_of(kind, name): ChannelParameter(type=artifact_type) for name in names}


def keyed(kind: str, channels: Mapping[str, types.BaseChannel]) -> dict[str, types.BaseChannel]:
    """Returns channels by name as channels by input key."""
    return {key_of(kind, name): channel for name, channel in channels.items()}
