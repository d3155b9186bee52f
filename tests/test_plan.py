"""How sizes are fitted to a time budget, with speeds and ladders that are easy to add up."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline import plan, profiles
from pipeline.plan import ModelSpeed, Plan
from pipeline.profiles import ModelProfile, Profile, Rung

COUNTS = {"train": 1_000, "eval": 100, "test": 200}
AMX = ModelSpeed("mixed_bfloat16", train=10.0, predict=50.0, export=100.0, matrix_unit=True)
VECTORS = dataclasses.replace(AMX, matrix_unit=False)
FIXED_OF_MODEL = plan.MODEL_SECONDS + 200 / 100.0


def rung(name: str, images: int) -> Rung:
    """A rung without a search that takes a tenth of a second an image, and two seconds more."""
    return Rung(name, images, epochs=1, eval_images=100, trials=0, trial_images=0)


LADDER = (rung("3", 980), rung("2", 480), rung("1", 80))  # 100, 50 and 10 seconds


def profile_for(seconds: float, models: Mapping[str, ModelProfile]) -> Profile:
    """A profile whose budget leaves so many seconds to searches and trainings."""
    fixed = plan.DATA_SECONDS + len(models) * FIXED_OF_MODEL
    minutes = (seconds + fixed) / plan.MARGIN / 60 + 1e-9
    return dataclasses.replace(profiles.LAPTOP, models=dict(models), budget=(minutes, minutes))


def ladders(*names: str) -> dict[str, ModelProfile]:
    return {name: ModelProfile(LADDER) for name in names}


def fit(seconds: float, models: Mapping[str, ModelProfile]) -> dict[str, str]:
    """Returns the name of each model's rung."""
    speeds = dict.fromkeys(models, AMX)
    fitted = plan.fit_to_budget(profile_for(seconds, models), speeds, COUNTS)
    return {name: model.rung.name for name, model in fitted.models.items()}


class Meter:
    """A measurement that notes for what it was called."""

    def __init__(self, speed: ModelSpeed = AMX) -> None:
        self.speed = speed
        self.calls: list[tuple[str, str]] = []

    def __call__(self, name: str, precision: str) -> ModelSpeed:
        self.calls.append((name, precision))
        return self.speed


def make(file: Path, meter: plan.Measure, *names: str, precision: str = "auto") -> Plan:
    return plan.make_plan(profiles.LAPTOP, names, precision, COUNTS, file, meter)


def test_the_cost_adds_epochs_validation_and_trials() -> None:
    searched = Rung(
        "1",
        images=600,
        epochs=2,
        eval_images=50,
        trials=3,
        trial_images=100,
        trial_epochs=4,
        trial_eval_images=25,
    )
    training = 2 * (600 / 10 + 50 / 50)
    trial = 4 * (100 / 10 + 25 / 50) + plan.TRIAL_SECONDS
    assert plan.cost(searched, AMX, COUNTS) == training + 3 * trial


def test_zero_images_cost_as_much_as_all_and_more_than_all_no_more() -> None:
    for images in (profiles.ALL, 1_000, 60_000):
        assert plan.cost(rung("1", images), AMX, COUNTS) == 1_000 / 10 + 100 / 50


@pytest.mark.parametrize(("seconds", "expected"), [(100, "3"), (99, "2"), (50, "2"), (49, "1")])
def test_the_largest_rung_within_the_time_is_taken(seconds: float, expected: str) -> None:
    assert fit(seconds, ladders("only")) == {"only": expected}


def test_the_smallest_rung_is_taken_even_where_it_is_too_long() -> None:
    assert fit(9, ladders("only")) == {"only": "1"}
    assert fit(-500, ladders("first", "second")) == {"first": "1", "second": "1"}


def test_a_model_with_a_larger_share_gets_the_larger_rung() -> None:
    models = ladders("small", "large")
    models["large"] = dataclasses.replace(models["large"], share=5.0)
    assert fit(60, models) == {"small": "1", "large": "2"}


def test_what_one_model_leaves_moves_another_up() -> None:
    models = {"modest": ModelProfile(LADDER[2:]), "hungry": ModelProfile(LADDER)}
    assert fit(60, models) == {"modest": "1", "hungry": "2"}
    assert fit(110, models) == {"modest": "1", "hungry": "3"}


def test_the_model_furthest_from_its_largest_size_moves_up_first() -> None:
    models = {"near": ModelProfile(LADDER[1:]), "far": ModelProfile(LADDER)}
    assert fit(60, models) == {"near": "1", "far": "2"}


def test_a_model_may_move_up_by_several_rungs() -> None:
    models = {"modest": ModelProfile(LADDER[2:], share=9.0), "hungry": ModelProfile(LADDER)}
    assert fit(109, models) == {"modest": "1", "hungry": "2"}
    assert fit(110, models) == {"modest": "1", "hungry": "3"}


def test_what_is_left_goes_to_the_models_in_their_order() -> None:
    assert fit(60, ladders("first", "second")) == {"first": "2", "second": "1"}
    assert fit(150, ladders("first", "second")) == {"first": "3", "second": "2"}


def test_the_estimate_is_the_fixed_time_and_the_costs() -> None:
    models = ladders("first", "second")
    speeds = dict.fromkeys(models, AMX)
    fitted = plan.fit_to_budget(profile_for(60, models), speeds, COUNTS)
    assert fitted.seconds == pytest.approx(plan.DATA_SECONDS + 2 * FIXED_OF_MODEL + 50 + 10)
    assert [model.seconds for model in fitted.models.values()] == [50, 10]


def test_the_plan_keeps_within_the_budget_with_a_margin() -> None:
    profile = profile_for(105, ladders("only"))
    fitted = plan.fit_to_budget(profile, {"only": AMX}, COUNTS)
    assert profile.budget is not None
    assert fitted.seconds is not None
    assert fitted.seconds <= plan.MARGIN * profile.budget[0] * 60 < profile.budget[0] * 60


def test_one_model_without_a_matrix_unit_puts_the_run_on_the_longer_budget() -> None:
    models = ladders("first", "second")
    short, long = (profile_for(seconds, models).budget for seconds in (20, 200))
    assert short is not None
    assert long is not None
    profile = dataclasses.replace(profile_for(0, models), budget=(short[0], long[1]))
    fast = plan.fit_to_budget(profile, {"first": AMX, "second": AMX}, COUNTS)
    slow = plan.fit_to_budget(profile, {"first": AMX, "second": VECTORS}, COUNTS)
    assert [model.rung.name for model in fast.models.values()] == ["1", "1"]
    assert [model.rung.name for model in slow.models.values()] == ["3", "3"]


@pytest.mark.parametrize("profile", [profiles.SMOKE, profiles.PAPER, profiles.GPU])
def test_without_a_budget_the_first_rung_is_taken_and_nothing_measured(
    profile: Profile, tmp_path: Path
) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    made = plan.make_plan(profile, ["sequential", "vgg16"], "auto", COUNTS, file, meter)
    assert {n: m.rung for n, m in made.models.items()} == {
        name: profile.of(name).rungs[0] for name in ("sequential", "vgg16")
    }
    assert {m.precision for m in made.models.values()} == {"auto"}
    assert made.seconds is None
    assert meter.calls == []
    assert not file.exists()


def test_a_measurement_is_kept_and_not_repeated(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    first = make(file, meter, "sequential", "vgg16")
    assert meter.calls == [("sequential", "auto"), ("vgg16", "auto")]
    assert make(file, meter, "sequential", "vgg16") == first
    assert len(meter.calls) == 2


def test_only_a_model_that_is_new_is_measured(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    make(file, meter, "sequential")
    make(file, meter, "sequential", "alexnet")
    assert meter.calls == [("sequential", "auto"), ("alexnet", "auto")]


def test_a_measurement_outlives_the_failure_of_the_next(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()

    def failing(name: str, precision: str) -> ModelSpeed:
        if name == "vgg16":
            raise MemoryError("too large")
        return meter(name, precision)

    with pytest.raises(MemoryError, match="too large"):
        make(file, failing, "sequential", "vgg16")
    make(file, meter, "sequential")
    assert meter.calls == [("sequential", "auto")]


def test_another_precision_is_measured_again(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    make(file, meter, "sequential")
    make(file, meter, "sequential", precision="float32")
    assert meter.calls == [("sequential", "auto"), ("sequential", "float32")]


def test_another_machine_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    make(file, meter, "sequential")
    monkeypatch.setattr(plan, "machine", lambda _: "another")
    make(file, meter, "sequential")
    assert len(meter.calls) == 2


def test_another_input_size_is_measured_again(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    make(file, meter, "vgg16")
    larger = dataclasses.replace(profiles.LAPTOP.of("vgg16"), input_side=64)
    profile = dataclasses.replace(profiles.LAPTOP, models={"vgg16": larger})
    plan.make_plan(profile, ["vgg16"], "auto", COUNTS, file, meter)
    assert len(meter.calls) == 2


def test_another_smallest_batch_is_measured_again(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    make(file, meter, "sequential")
    larger = dataclasses.replace(profiles.LAPTOP.of("sequential"), batch_sizes=(128, 256))
    profile = dataclasses.replace(profiles.LAPTOP, models={"sequential": larger})
    plan.make_plan(profile, ["sequential"], "auto", COUNTS, file, meter)
    assert len(meter.calls) == 2


def test_other_gpus_are_measured_again(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    for gpus in ([], ["A100 (8, 0)"], ["T4 (7, 5)"], ["T4 (7, 5)"] * 2, []):
        plan.make_plan(*(profiles.LAPTOP, ["sequential"], "auto", COUNTS, file, meter), gpus=gpus)
    assert len(meter.calls) == 4


def test_a_measurement_of_an_older_version_is_made_anew(tmp_path: Path) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    first = make(file, meter, "sequential")
    kept = json.loads(file.read_text())
    for speed in kept.values():
        del speed["matrix_unit"]
    file.write_text(json.dumps(kept))
    assert make(file, meter, "sequential") == first
    assert len(meter.calls) == 2


@pytest.mark.parametrize("content", [b'{"half', b"\xff\xfe", b"", b"[]"])
def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path, content: bytes) -> None:
    file, meter = tmp_path / "plan.json", Meter()
    file.write_bytes(content)
    make(file, meter, "sequential")
    make(file, meter, "sequential")
    assert len(meter.calls) == 1
    assert list(json.loads(file.read_text()).values()) == [dataclasses.asdict(AMX)]


def test_a_machine_is_its_cpu_and_the_cores_that_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known_as(model: str, flags: str, mhz: str) -> str:
        core = f"model name\t: {model}\ncpu MHz\t\t: {mhz}\nflags\t\t: {flags}\n"
        file = tmp_path / "cpuinfo"
        file.write_text(core + core)
        return plan.machine([], file)

    this = known_as("Xeon", "avx2", "2000")
    assert known_as("Xeon", "avx2", "3100") == this
    assert known_as("EPYC", "avx2", "2000") != this
    assert known_as("Xeon", "avx2 amx_bf16", "2000") != this
    more = set(range(1 + len(os.sched_getaffinity(0))))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: more)
    assert known_as("Xeon", "avx2", "2000") != this
