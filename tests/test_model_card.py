"""The model card of a version: what it says, also where little is known."""

from typing import Any

import pytest

from components.model_card import model_card

DATA = {"sha256": "b2d8f5bf" * 8, "train": 48_000, "eval": 12_000, "test": 10_000}


@pytest.fixture(scope="module")
def card(whole_report: dict[str, Any]) -> str:
    own, *others = whole_report["models"]
    return model_card(own, DATA, others)


def test_it_says_what_the_model_is(card: str) -> None:
    assert card.startswith("# Model card: sequential for MNIST\n")
    assert "Parameters: 873,738; size: 3.6 MB; one digit through REST: 1.5 ms" in card


def test_it_names_the_data_with_digest_and_counts(card: str) -> None:
    assert DATA["sha256"] in card
    for line in ("| train | 48,000 |", "| eval | 12,000 |", "| test | 10,000 |"):
        assert line in card


def test_figures_have_intervals_on_what_was_not_trained_on(card: str) -> None:
    assert "| train | 48,000 | 99.10% | 0.0300 |" in card
    assert "| eval | 12,000 | 99.08% (98.90% to 99.24%) | 0.0400 |" in card
    assert "| test | 10,000 | 99.20% (99.01% to 99.36%) | 0.0310 |" in card
    assert "Of the training the doctor says: healthy: loss from 2.3 to 0.04." in card


def test_every_digit_is_a_slice_with_an_interval(card: str) -> None:
    part = card.partition("## By digit, on `test`")[2].partition("##")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ") and "% (" in line]
    assert len(rows) == 10
    assert rows[0] == "| 0 | 1,000 | 99.50% (98.83% to 99.79%) |"


def test_it_says_how_it_was_chosen_and_among_what(card: str) -> None:
    part = card.partition("## How it was chosen")[2].partition("##")[0]
    assert "- sequential: 99.09% on 12,000 images of eval" in part
    assert "- alexnet (blessed): " in part
    assert "- vgg16 (not blessed): " in part


def test_it_has_hyperparameters_and_limits(card: str) -> None:
    assert "| batch size | 64 |\n| learning rate | 0.002 |" in card
    assert "| trials of the search | 4 |" in card
    assert card.partition("## Limits")[2].count("\n- ") == 4


def test_what_is_not_known_is_said() -> None:
    card = model_card({"name": "sequential"}, {}, [])
    assert "Parameters: not recorded" in card
    assert "| test | not recorded | not recorded | not recorded |" in card
    assert "SHA-256 of the content `not recorded`" in card
    assert "## By digit, on `test`\n\nnot recorded." in card
    assert "| trials of the search | none: given |" in card
