"""What each profile promises, whatever its numbers are tuned to."""

import dataclasses

import pytest

from components.models import DEFAULT_MODELS, REGISTRY
from components.report.study import SEQUENTIAL
from pipeline import options_of_commands
from pipeline.plan import ModelSpeed, cost
from pipeline.profiles import ALL, GPU, LAPTOP, PAPER, PROFILES, SMOKE, Profile

MNIST = {"train": 48_000, "eval": 12_000, "test": 10_000}
EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def test_the_command_line_offers_every_profile_by_its_name() -> None:
    assert tuple(PROFILES) == options_of_commands.PROFILES == ("smoke", "laptop", "paper", "gpu")
    assert all(profile.name == name for name, profile in PROFILES.items())


@EVERY
def test_every_registered_model_resolves(profile: Profile) -> None:
    assert set(REGISTRY) >= {*DEFAULT_MODELS, "alexnet-book"}
    for name in REGISTRY:
        model = profile.of(name)
        assert model.rungs
        assert model.batch_sizes
        assert model.share > 0
        lowest, highest = model.learning_rates or (0.1, 1.0)
        assert 0 < lowest < highest


@EVERY
def test_a_model_that_no_profile_names_is_trained_as_any_other(profile: Profile) -> None:
    assert profile.of("a-fourth-model") is profile.other


@EVERY
def test_ladders_go_from_the_large_to_the_small(profile: Profile) -> None:
    speed = ModelSpeed("float32", train=100.0, predict=300.0, export=100.0, matrix_unit=False)
    for name in REGISTRY:
        costs = [cost(rung, speed, MNIST) for rung in profile.of(name).rungs]
        assert costs == sorted(set(costs), reverse=True)


@EVERY
def test_the_rungs_of_a_ladder_have_names_of_their_own(profile: Profile) -> None:
    for name in REGISTRY:
        names = [rung.name for rung in profile.of(name).rungs]
        assert len(set(names)) == len(names)


def test_the_smallest_batch_is_that_of_any_rung() -> None:
    assert LAPTOP.of("sequential").smallest_batch == 64
    assert LAPTOP.of("vgg16").smallest_batch == 32
    assert PROFILES["gpu"].of("vgg16").smallest_batch == 32


@EVERY
def test_every_rung_trains_and_searches(profile: Profile) -> None:
    for name in REGISTRY:
        for rung in profile.of(name).rungs:
            assert min(rung.epochs, rung.trials, rung.trial_epochs) >= 1
            assert min(rung.images, rung.eval_images, rung.trial_images) >= 0


@EVERY
def test_a_smaller_input_is_large_enough_for_five_poolings(profile: Profile) -> None:
    for name in REGISTRY:
        side = profile.of(name).input_side
        assert side == 0 or side >= 32


@EVERY
def test_a_profile_cannot_be_changed_in_place(profile: Profile) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.seed = 1  # type: ignore[misc]


def test_smoke_takes_a_few_hundred_images_and_no_measurement() -> None:
    assert all(100 <= count < 1_000 for count in SMOKE.images.values())
    assert SMOKE.budget is None
    assert SMOKE.precision == "float32"


@pytest.mark.parametrize("profile", [LAPTOP, PAPER, GPU], ids=lambda profile: profile.name)
def test_real_profiles_ingest_all_of_mnist(profile: Profile) -> None:
    assert profile.images == {"train": ALL, "eval": ALL, "test": ALL}
    assert profile.accuracy_floor >= 0.95


def test_laptop_may_take_eight_minutes_or_twelve_without_a_fast_bfloat16() -> None:
    assert LAPTOP.budget == (8.0, 12.0)


def test_laptop_trains_sequential_on_all_images_on_every_rung() -> None:
    assert [rung.images for rung in LAPTOP.of("sequential").rungs] == [ALL] * len(
        LAPTOP.of("sequential").rungs
    )


def test_laptop_keeps_the_input_of_alexnet() -> None:
    assert LAPTOP.of("alexnet").input_side == 0


def test_only_laptop_has_a_budget() -> None:
    assert [profile.name for profile in PROFILES.values() if profile.budget] == ["laptop"]


@pytest.mark.parametrize("profile", [PAPER, GPU], ids=lambda profile: profile.name)
def test_full_profiles_train_all_images_at_full_size_for_ten_epochs_or_the_recipe_s_twenty(
    profile: Profile,
) -> None:
    for name in REGISTRY:
        (rung,) = profile.of(name).rungs
        assert (rung.images, rung.eval_images) == (ALL, ALL)
        assert rung.epochs == (20 if (profile.name, name) == ("gpu", "sequential") else 10)
        assert profile.of(name).input_side == 0


def test_paper_keeps_the_learning_rate_constant_and_never_stops_early() -> None:
    assert PAPER.schedule == "constant"
    assert PAPER.patience >= 10


def test_paper_tries_the_study_s_runs_as_they_were() -> None:
    paper = PAPER.of("sequential")
    assert paper.runs == (("A", 32, 0.001), ("B", 64, 0.001), ("C", 64, 0.01))
    (rung,) = paper.rungs
    assert rung.trials == len(paper.runs)
    assert (rung.trial_images, rung.trial_epochs, rung.trial_eval_images) == (ALL, 10, ALL)
    assert [run.name for run in SEQUENTIAL] == [name for name, _, _ in paper.runs]


def test_gpu_leaves_the_precision_to_the_machine() -> None:
    assert GPU.precision == "auto"
    assert GPU.schedule == "one_cycle"


def test_gpu_has_the_recipe_and_goes_through_the_whole_cycle() -> None:
    recipe = GPU.of("sequential")
    assert (recipe.augmentation, recipe.averaging, recipe.weight_decay) == ("affine", 0.1, 0.1)
    assert all(GPU.patience >= GPU.of(name).rungs[0].epochs for name in REGISTRY)
