"""What the doctor concludes from charts written by hand, and what it spends, without TensorFlow."""

import dataclasses
import math
import subprocess
import sys

import pytest

from components.training.doctor.budget import Budget
from components.training.doctor.chart import MOST_POINTS, MOST_SAMPLES, Chart, Layer, Sample
from components.training.doctor.diagnosis import Ending, diagnose, judge_the_end
from components.training.doctor.thresholds import THRESHOLDS

LAYER = Layer("conv", 100, 0.5, 2.0, 1e-3, 0.2, 1.0)


def sample(step: int, loss: float = 0.1, share: float = 0.1, **changes: float) -> Sample:
    layer = dataclasses.replace(LAYER, **changes)
    return Sample(
        step, 0, loss, 1, share, 0.0, False, (layer, dataclasses.replace(LAYER, name="d"))
    )


def chart(losses: list[float], *samples: Sample) -> Chart:
    made = Chart(list(samples))
    for step, loss in enumerate(losses, 1):
        made.add_loss(step, 1, loss)
    return made


def state(seen: Chart) -> str:
    return diagnose(seen, THRESHOLDS).state


def test_a_falling_loss_is_healthy_and_said_with_numbers() -> None:
    found = diagnose(chart([2.3, 1.0, 0.2], sample(0, 2.3), sample(3)), THRESHOLDS)
    assert not found.sick
    assert str(found).startswith(
        "healthy: loss from 2.3 to 0.2 in 3 steps, 0.1 on the batch kept aside at step 3, "
    )


def test_an_explosion_says_when_where_and_from_what_to_what() -> None:
    seen = chart([0.08] * 50 + [2e10], sample(50), sample(51, 2e10, gradient=3e6))
    assert str(diagnose(seen, THRESHOLDS)) == (
        "exploding: at step 51 (epoch 1) the loss went from 0.08 to 2.0e+10; the gradient norm of "
        "conv grew most, from 0.5 at step 50 to 3.0e+06; a step changed up to 0.001 of a layer's "
        "weights"
    )


def test_a_spike_has_time_to_come_back() -> None:
    looks = sample(0), sample(60)
    assert state(chart([2.3, 60.0, *[2.3] * 50], *looks)) == "healthy"
    assert state(chart([2.3, 60.0, *[2.3] * 50, *[1.0] * 200], *looks)) == "healthy"
    assert state(chart([2.3, 60.0, *[2.3] * 150], *looks)) == "exploding"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_explosion(loss: float) -> None:
    assert state(chart([2.3, loss], sample(0))) == "exploding"


def test_silent_layers_must_be_seen_twice() -> None:
    assert state(chart([2.3], sample(0, dead=1.0))) == "healthy"
    assert state(chart([2.3], sample(0, dead=1.0), sample(1, dead=1.0))) == "dead ReLUs"
    assert state(chart([2.3], sample(0, dead=0.97), sample(1, dead=0.97))) == "healthy"


def test_a_loss_at_chance_is_stuck_after_600_steps_and_not_while_it_falls() -> None:
    looks = sample(0, 2.3, 0.3), sample(600, 2.3, 0.3)
    wave = [2.30 + 0.02 * (-1) ** step for step in range(640)]
    assert state(chart(wave[:300], *looks)) == "healthy"
    assert state(chart(wave, *looks)) == "stuck at ln 10"
    slow = [loss - step * 1e-4 for step, loss in enumerate(wave)]
    assert state(chart(slow, *looks)) == "healthy"


def test_one_answer_for_everything_is_a_collapse_once_it_knew_more() -> None:
    seen = chart([0.1] * 100 + [2.3] * 150, sample(200, 2.3, 1.0), sample(250, 2.3, 1.0))
    assert "it answers 1 for 100% of the batch kept aside" in str(diagnose(seen, THRESHOLDS))


def test_the_end_is_judged_by_the_weights_of_the_best_epoch() -> None:
    seen = chart([2.3] * 700, sample(0), sample(700))
    lost = judge_the_end(seen, Ending(0, 2.3, 2.301, 1, 0.99), THRESHOLDS)
    assert [f.state for f in lost.findings] == ["collapsed to one class", "stuck at ln 10"]
    well = judge_the_end(seen, Ending(0, 0.1, 0.1, 1, 0.12), THRESHOLDS)
    assert well.state == "healthy"


def test_a_chart_stays_small_and_survives_json() -> None:
    seen = chart([1.0] * 5000, *(sample(0),))
    for step in range(200):
        seen.add_sample(sample(step))
    assert len(seen.losses) <= MOST_POINTS
    assert len(seen.samples) <= MOST_SAMPLES
    assert seen.samples[0].step == 0
    assert sum(point.steps for point in seen.losses) == 5000
    assert Chart.from_state(dataclasses.asdict(seen)) == seen
    assert Chart.from_state({}) == Chart()


def test_a_figure_that_is_not_finite_is_none_in_the_report() -> None:
    columns = chart([math.nan], sample(1, math.nan, gradient=math.inf)).in_columns()
    assert columns["loss"] == [None]
    assert columns["gradient"] == [[None, 0.5]]


def test_without_a_look_the_losses_have_to_do() -> None:
    assert state(chart([2.3, 1.0])) == "healthy"
    assert state(chart([0.1] * 50 + [60.0] * 110)) == "exploding"
    assert state(chart([2.3] * 640)) == "stuck at ln 10"
    lost = judge_the_end(chart([2.3] * 700), Ending(0, 2.3, 2.301, 1, 0.99), THRESHOLDS)
    assert [f.state for f in lost.findings] == ["collapsed to one class", "stuck at ln 10"]
    well = judge_the_end(chart([2.3, 0.1]), Ending(0, 0.1, 0.1, 1, 0.12), THRESHOLDS)
    assert str(well) == "healthy: loss from 2.3 to 0.1 in 2 steps"
    blind = dataclasses.replace(well, blind="ValueError: no graph")
    assert str(blind) == f"{well}; the doctor could not look inside (ValueError: no graph)"


def test_an_explosion_at_the_first_step_has_no_loss_before() -> None:
    found = str(diagnose(chart([2e10]), THRESHOLDS))
    assert found == "exploding: at step 1 the loss was 2.0e+10"
    found = str(diagnose(chart([2e10], sample(1, 2e10)), THRESHOLDS))
    assert found.startswith("exploding: at step 1 (epoch 1) the loss was 2.0e+10; the gradient ")


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def spend(seconds: float, step: float, first: float, later: float) -> tuple[float, int]:
    """Returns the share of a training that goes into looks, as a `Doctor` takes them, and how many.

    Args:
      seconds: of training, looks not counted.
      step: seconds of a step; the first one takes five more.
      first: seconds of the first look; `later`: of the others.
    """
    watch, looks = Watch(), 0
    budget = Budget(THRESHOLDS, watch)
    budget.begin()

    def look() -> None:
        nonlocal looks
        with budget.pay(look=True):
            watch.now += later if looks else first
        looks += 1

    done = 0
    while watch.now - budget.spent < seconds:
        watch.now += step if done else step + 5
        budget.stepped(1)
        if budget.has_room():
            look()
        budget.wait()
        done += 1
    if not looks or budget.has_room_at_the_end():
        look()
    return budget.spent / (watch.now - budget.spent), looks


@pytest.mark.parametrize("seconds", [20, 28, 60, 200, 1000])
@pytest.mark.parametrize(
    ("step", "first", "later"), [(0.005, 0.1, 0.05), (0.5, 0.43, 0.15), (1.5, 0.76, 0.5)]
)
def test_looks_cost_five_percent_at_most(
    seconds: float, step: float, first: float, later: float
) -> None:
    share, looks = spend(seconds, step, first, later)
    assert share <= 0.053  # 5% of all the time is 5.3% of the time without
    assert looks >= 1


def test_a_training_that_is_too_short_has_one_look_at_its_end() -> None:
    assert spend(5, 0.01, 0.4, 0.2)[1] == 1
    assert spend(1, 0.01, 0.4, 0.2)[1] == 1


def test_a_long_training_has_looks_all_along() -> None:
    assert spend(1000, 0.5, 0.43, 0.15)[1] > 150


def test_one_look_may_come_before_its_turn_and_the_next_waits() -> None:
    watch = Watch()
    budget = Budget(THRESHOLDS, watch)
    watch.now = 1.0
    assert budget.is_within()
    assert not budget.has_room()
    with budget.pay(look=True):
        watch.now += 1.0
    assert not budget.is_within()
    watch.now = 40.0
    assert (budget.is_within(), budget.has_room()) == (True, False)
    watch.now = 70.0
    assert budget.has_room()


def test_a_second_beginning_does_not_forget_what_was_spent() -> None:
    watch = Watch()
    budget = Budget(THRESHOLDS, watch)
    watch.now = 7.0  # until here the network was built
    budget.begin()
    with budget.pay():
        watch.now += 1.0
    budget.begin()
    assert budget.spent == 1.0


def test_nothing_of_this_needs_tensorflow() -> None:
    names = ("budget", "chart", "diagnosis", "losses", "report", "thresholds", "words")
    modules = ", ".join(f"components.training.doctor.{name}" for name in names)
    code = f"import sys, {modules}; print(sorted({{'tensorflow', 'keras'}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
