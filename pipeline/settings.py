"""Turns a profile, a plan and the user's choices into the settings of the graph's nodes."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from components.code import code_digest
from components.models import module_of
from components.settings import ModelSettings, TrainSettings, TuneSettings
from pipeline.graph import ModelNodes
from pipeline.plan import ModelPlan, Plan
from pipeline.profiles import Profile
from pipeline.workdir import Workdir


def model_nodes(
    profile: Profile,
    plan: Plan,
    models: Sequence[str],
    workdir: Workdir,
    hyperparameters: Mapping[str, dict[str, Any]] | None,
    parallel_trials: int = 1,
) -> dict[str, ModelNodes]:
    """Returns the settings of each model's nodes.

    Args:
      hyperparameters: batch size and learning rate by model in place of a search, or None.
      parallel_trials: of a search at a time; at most as many as it has.
    """
    return {
        name: ModelNodes(
            _training(profile, plan.models[name], name, workdir, (hyperparameters or {}).get(name)),
            None if hyperparameters else _search(profile, plan.models[name], name, workdir),
            min(parallel_trials, plan.models[name].rung.trials),
        )
        for name in models
    }


def model_settings(profile: Profile, name: str, precision: str) -> ModelSettings:
    """Returns what the Tuner and the Trainer of a model have in common."""
    module = module_of(name)
    height, width, channels = importlib.import_module(module).INPUT_SHAPE
    of_model = profile.of(name)
    side = of_model.input_side
    return ModelSettings(
        name=name,
        module=module,
        input_shape=(side or height, side or width, channels),
        precision=precision,
        schedule=profile.schedule,
        seed=profile.seed,
        augmentation=of_model.augmentation,
        averaging=of_model.averaging,
        weight_decay=of_model.weight_decay,
    )


def _training(
    profile: Profile,
    plan: ModelPlan,
    name: str,
    workdir: Workdir,
    hyperparameters: dict[str, Any] | None,
) -> TrainSettings:
    return TrainSettings(
        model=model_settings(profile, name, plan.precision),
        images=plan.rung.images,
        eval_images=plan.rung.eval_images,
        epochs=plan.rung.epochs,
        patience=profile.patience,
        hyperparameters=hyperparameters or {},
        rung=plan.rung.name,
        state_dir=str(workdir.state / "training"),
        code=code_digest("components.training.run", module_of(name)),
    )


def _search(profile: Profile, plan: ModelPlan, name: str, workdir: Workdir) -> TuneSettings:
    settings = profile.of(name)
    module = module_of(name)
    return TuneSettings(
        model=model_settings(profile, name, plan.precision),
        images=plan.rung.trial_images,
        eval_images=plan.rung.trial_eval_images,
        epochs=plan.rung.trial_epochs,
        batch_sizes=plan.rung.batch_sizes or settings.batch_sizes,
        learning_rates=settings.learning_rates or importlib.import_module(module).LEARNING_RATES,
        trials=plan.rung.trials,
        state_dir=str(workdir.state / "search"),
        code=code_digest("components.tuning.run", module),
        runs=settings.runs,
    )
