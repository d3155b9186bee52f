"""Turns a profile, a plan and the user's choices into the settings of the graph's nodes."""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from components.code import code_digest
from components.models import module_of
from components.settings import (
    AUTO_DEVICES,
    ONE_DEVICE,
    ModelSettings,
    TrainSettings,
    TuneSettings,
)
from pipeline.graph import ModelNodes
from pipeline.plan import ModelPlan, Plan
from pipeline.profiles import Profile
from pipeline.workdir import Workdir

Settings = TypeVar("Settings", TrainSettings, TuneSettings)


def model_nodes(
    profile: Profile,
    plan: Plan,
    models: Sequence[str],
    workdir: Workdir,
    hyperparameters: Mapping[str, dict[str, Any]] | None,
    parallel_trials: int = 1,
    devices: str = AUTO_DEVICES,
) -> dict[str, ModelNodes]:
    """Returns the settings of each model's nodes.

    Args:
      hyperparameters: batch size and learning rate by model in place of a search, or None.
      parallel_trials: of a search at a time; at most as many as it has.
      devices: of a Trainer. A trial takes the same, but for one on several machines or at least
        two GPUs: it takes what is there.
    """
    return {
        name: ModelNodes(
            on_devices(_training(*about, (hyperparameters or {}).get(name)), devices),
            None if hyperparameters else on_devices(_search(*about), _of_trials(devices)),
            min(parallel_trials, plan.models[name].rung.trials),
        )
        for name in models
        for about in [(profile, plan.models[name], name, workdir)]
    }


def on_devices(settings: Settings, devices: str) -> Settings:
    """Returns the settings with other devices."""
    model = dataclasses.replace(settings.model, devices=devices)
    return dataclasses.replace(settings, model=model)


def _of_trials(devices: str) -> str:
    return ONE_DEVICE if devices == ONE_DEVICE else AUTO_DEVICES


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
        code=code_digest("components.tuning.component", "components.tuning.run", module),
        runs=settings.runs,
    )
