"""Fits the sizes of a profile to its time budget, from a short measurement of each model.

The plan is kept in the workdir for this machine, so that a run can be repeated. Pure arithmetic but
for the measurement, which is passed in.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.profiles import ModelProfile, Profile, Rung
from pipeline.workdir import write_json

MARGIN = 0.93  # share of the budget that is planned
DATA_SECONDS = 30.0  # start, ingestion, statistics, serving, selection and push, on two cores
MODEL_SECONDS = 20.0  # Transform, graph building, export and evaluation of one model
TRIAL_SECONDS = 4.0  # graph building and first steps of one trial


@dataclasses.dataclass(frozen=True)
class ModelSpeed:
    """Images a second of one model; see `components.training.probe.Speed`."""

    precision: str
    train: float
    predict: float
    export: float
    matrix_unit: bool


@dataclasses.dataclass(frozen=True)
class ModelPlan:
    """What one model gets: `precision` may still be `auto` where nothing was measured."""

    rung: Rung
    precision: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """Per model; `seconds` is the estimate of the whole run, or None without a measurement."""

    models: Mapping[str, ModelPlan]
    seconds: float | None


Measure = Callable[[str, str], ModelSpeed]


def make_plan(
    profile: Profile,
    models: Sequence[str],
    precision: str,
    counts: Mapping[str, int],
    file: pathlib.Path,
    measure: Measure,
    gpus: Sequence[str] = (),
) -> Plan:
    """Returns the plan of a run.

    Args:
      precision: `auto` or a policy.
      counts: images of each split.
      file: where measurements are kept.
      measure: called with a model's name and the precision where no measurement is kept.
      gpus: what there are; a measurement counts for the same ones alone.
    """
    if profile.budget is None:
        first = {n: ModelPlan(profile.of(n).rungs[0], precision, 0.0) for n in models}
        return Plan(first, None)
    here = machine(gpus)
    speeds = {n: _kept(file, n, profile, precision, here, measure) for n in models}
    return fit_to_budget(profile, speeds, counts)


def fit_to_budget(
    profile: Profile, speeds: Mapping[str, ModelSpeed], counts: Mapping[str, int]
) -> Plan:
    """Gives each model the largest rung within its share, then what is left to whoever can use it.

    The smallest rung is taken even where it is too long.
    """
    assert profile.budget is not None
    fixed = DATA_SECONDS + sum(MODEL_SECONDS + counts["test"] / s.export for s in speeds.values())
    fast = all(s.matrix_unit for s in speeds.values())
    available = profile.budget[0 if fast else 1] * 60 * MARGIN - fixed
    profiles = {name: profile.of(name) for name in speeds}
    shares = sum(p.share for p in profiles.values())
    costs = {
        name: [cost(rung, speeds[name], counts) for rung in profiles[name].rungs] for name in speeds
    }
    places = {
        name: _within(costs[name], available * profiles[name].share / shares) for name in speeds
    }
    _hand_out_the_rest(places, costs, available)
    return Plan(
        {n: _model_plan(profiles[n], speeds[n], costs[n], places[n]) for n in speeds},
        fixed + sum(costs[n][places[n]] for n in speeds),
    )


def cost(rung: Rung, speed: ModelSpeed, counts: Mapping[str, int]) -> float:
    """Returns the seconds of a rung's search and training."""

    def passes(images: int, epochs: int, validated: int) -> float:
        trained = min(images or counts["train"], counts["train"])
        predicted = min(validated or counts["eval"], counts["eval"])
        return epochs * (trained / speed.train + predicted / speed.predict)

    trial = passes(rung.trial_images, rung.trial_epochs, rung.trial_eval_images)
    search = rung.trials * (trial + TRIAL_SECONDS)
    return passes(rung.images, rung.epochs, rung.eval_images) + search


def _within(costs: list[float], seconds: float) -> int:
    fitting = [place for place, cost_ in enumerate(costs) if cost_ <= seconds]
    return fitting[0] if fitting else len(costs) - 1


def _hand_out_the_rest(
    places: dict[str, int], costs: Mapping[str, list[float]], available: float
) -> None:
    """Moves models up a rung for as long as one fits, the furthest from its largest size first."""

    def fits(name: str) -> bool:
        place, used = places[name], sum(costs[n][p] for n, p in places.items())
        return place > 0 and used - costs[name][place] + costs[name][place - 1] <= available

    while movable := [name for name in places if fits(name)]:
        places[max(movable, key=lambda name: places[name])] -= 1


def _model_plan(
    profile: ModelProfile, speed: ModelSpeed, costs: list[float], place: int
) -> ModelPlan:
    return ModelPlan(profile.rungs[place], speed.precision, costs[place])


def _kept(
    file: pathlib.Path, name: str, profile: Profile, precision: str, here: str, measure: Measure
) -> ModelSpeed:
    """Returns the kept measurement of a model on this machine, or measures and keeps it."""
    of_model = profile.of(name)
    key = f"{name} {of_model.input_side} {of_model.smallest_batch} {precision} {here}"
    kept, known = _read(file), {field.name for field in dataclasses.fields(ModelSpeed)}
    if set(kept.get(key, ())) != known:
        kept[key] = dataclasses.asdict(measure(name, precision))
        write_json(file, kept)
    return ModelSpeed(**kept[key])


def _read(file: pathlib.Path) -> dict[str, Any]:
    """Returns what is kept; a file that cannot be read counts as empty."""
    try:
        kept: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def machine(gpus: Sequence[str], cpuinfo: pathlib.Path = pathlib.Path("/proc/cpuinfo")) -> str:
    """Returns a short digest of what this machine is: GPUs, CPU, and the cores it may use."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    lines = {line for line in text.splitlines() if line.startswith(("model name", "flags"))}
    facts = f"{sorted(lines)} {len(os.sched_getaffinity(0))} {list(gpus)}"
    return hashlib.sha256(facts.encode()).hexdigest()[:12]
