"""`ModelSelector`: reads what the nodes of each model wrote and hands the winner on."""

import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, path_utils

from components import selection
from components.blessing import bless
from components.candidates import BLESSED, row_of
from components.channels import (
    Artifacts,
    channel_inputs,
    keyed,
    taking_part,
    uri_of,
)
from components.examples_facts import facts_of
from components.model_card import CARD_IN_MODEL, model_card
from components.report.files import MODEL_CARD_FILE
from components.serving_validator.report import (
    WARMUP_FILE,
    ServingValidation,
    read_validations,
)

COMPARISON_FILE = "comparison.json"
KINDS = {
    "model": standard_artifacts.Model,
    "run": standard_artifacts.ModelRun,
    "evaluation": standard_artifacts.ModelEvaluation,
    "blessing": standard_artifacts.ModelBlessing,
    "trials": standard_artifacts.TunerResults,
}


class ModelComparison(types.Artifact):
    """Holds `comparison.json`: what is known of each model, the winner, the reasons; its card."""

    TYPE_NAME = "mnist.ModelComparison"  # Kubeflow wants a name of two parts


class Executor(base_executor.BaseExecutor):
    """Compares and chooses."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `comparison`, and `model`, `blessing` and a model card for the winner."""
        names = taking_part(json.loads(exec_properties["names"]), "model", input_dict)
        validation = pathlib.Path(artifact_utils.get_single_uri(input_dict["validation"]))
        found = read_validations(validation)
        rows = {name: row_of(name, input_dict, found[name]) for name in names}
        winner, reason = _select(rows)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        bless(blessing, bool(winner))
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["comparison"]))
        if winner:
            facts = facts_of(artifact_utils.get_single_instance(input_dict["examples"]))
            others = [row for name, row in rows.items() if name != winner]
            card = folder / MODEL_CARD_FILE
            card.write_text(model_card(rows[winner], facts, others))
            added = {WARMUP_FILE: validation / WARMUP_FILE, CARD_IN_MODEL: card}
            target = artifact_utils.get_single_uri(output_dict["model"])
            _hand_on(uri_of("model", winner, input_dict), target, added)
        comparison = {
            "models": [{k: v for k, v in row.items() if k != "correct"} for row in rows.values()],
            "winner": winner,
            "blessed": bool(winner),
            "reason": reason,
        }
        (folder / COMPARISON_FILE).write_text(json.dumps(comparison, indent=1))


def _hand_on(model: str, target: str, added: Mapping[str, pathlib.Path]) -> None:
    """Copies the winner, and files into its SavedModel, by where they go."""
    folder = path_utils.serving_model_dir(target)
    io_utils.copy_dir(path_utils.serving_model_path(model), folder)
    for name, source in added.items():
        file = pathlib.Path(folder) / name
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, file)


def _select(rows: dict[str, dict[str, Any]]) -> tuple[str | None, str]:
    """Sets status and reason of each row; returns the winner's name, if any, and the reason."""
    candidates = [
        selection.Candidate(name, row["correct"], row["latency_ms"], row["model_bytes"])
        for name, row in rows.items()
        if row["status"] == BLESSED
    ]
    if not candidates:
        reasons = "; ".join(f"{name}: {row['reason']}" for name, row in rows.items())
        return None, f"no model was blessed and servable ({reasons})"
    choice = selection.choose(candidates)
    for name, reason in choice.reasons.items():
        rows[name]["reason"] = reason
        rows[name]["status"] = "winner" if name == choice.winner else BLESSED
    return choice.winner, choice.reasons[choice.winner]


OUTPUTS = {
    "model": standard_artifacts.Model,
    "blessing": standard_artifacts.ModelBlessing,
    "comparison": ModelComparison,
}


def _spec_class(inputs: Mapping[str, Mapping[str, types.BaseChannel]]) -> type[types.ComponentSpec]:
    """Returns the specification of a selector of these models, whose inputs bear their names."""
    of_models = {
        key: parameter
        for kind, channels in inputs.items()
        for key, parameter in channel_inputs(kind, KINDS[kind], channels).items()
    }
    of_all = {
        "validation": ChannelParameter(type=ServingValidation),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    parts = {
        "PARAMETERS": {name: ExecutionParameter(type=str) for name in ("names", "code")},
        "INPUTS": {**of_all, **of_models},
        "OUTPUTS": {key: ChannelParameter(type=kind) for key, kind in OUTPUTS.items()},
    }
    return type("ModelSelectorSpec", (types.ComponentSpec,), parts)


class ModelSelector(base_component.BaseComponent):
    """Outputs `model` (the winner, or empty), `blessing` and `comparison`."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        inputs: Mapping[str, Mapping[str, types.BaseChannel]],
        validation: types.BaseChannel,
        examples: types.BaseChannel,
        names: list[str],
        code: str,
    ) -> None:
        """Takes the channels by kind (a key of KINDS) and model; `trials` may lack models.

        `validation` is what ServingValidator found of all models, `examples` names the data.
        """
        channels = {k: c for kind, named in inputs.items() for k, c in keyed(kind, named).items()}
        made = {key: types.Channel(type=artifact_type) for key, artifact_type in OUTPUTS.items()}
        super().__init__(
            _spec_class(inputs)(
                names=json.dumps(names),
                code=code,
                validation=validation,
                examples=examples,
                **channels,
                **made,
            )
        )
