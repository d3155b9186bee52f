"""Marks a blessing artifact as TFX's Evaluator does, so that a Pusher understands it."""

from tfx import types
from tfx.components.evaluator import constants
from tfx.utils import io_utils


def bless(blessing: types.Artifact, blessed: bool) -> None:
    """Says in the artifact whether a model is blessed."""
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    value = constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
