"""The mark of outputs whose model was left out of a run when it was submitted: there, but empty."""

from collections.abc import Iterable

from components.channels import Artifacts, artifact_of

LEFT_OUT = "left_out"


def taking_part(names: Iterable[str], kind: str, input_dict: Artifacts) -> list[str]:
    """Returns the models whose artifacts of a kind do not have the mark, in order."""
    return [
        name
        for name in names
        if not artifact_of(kind, name, input_dict).get_int_custom_property(LEFT_OUT)
    ]
