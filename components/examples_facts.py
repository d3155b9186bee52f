"""What the examples say of the data: its digest and how many images each split has."""

from typing import Any

from tfx import types
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME

from components import data


def facts_of(examples: types.Artifact) -> dict[str, Any]:
    """Returns `sha256`, and the images of each split by its name."""
    return {
        "sha256": examples.get_string_custom_property(FINGERPRINT_PROPERTY_NAME),
        **{name: examples.get_int_custom_property(f"{name}_images") for name in data.SPLITS},
    }
