"""What the doctor concludes from charts that were written by hand, without TensorFlow."""

import dataclasses
import math
import sys

import pytest

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
    assert str(found).startswith("healthy: loss from 2.3 to 0.1 on the batch kept aside in 3 steps")


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


def test_nothing_of_this_needs_tensorflow() -> None:
    assert "components.training.doctor.sampling" not in sys.modules or "tensorflow" in sys.modules
