"""Images of a training are changed a little, anew each time, and the same after a kill."""

import numpy as np
import pytest
import tensorflow as tf

from components.training.augmentation import STRENGTHS, Strength, _places, _sample, augmentation
from components.training.dataset import Digits, training_batches

pytestmark = pytest.mark.slow

EACH = pytest.mark.parametrize("name", STRENGTHS)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Sixty-four images uint8 of a bright 8x8 square on black, in their middle."""
    images = np.zeros((64, 28, 28), np.uint8)
    images[:, 10:18, 10:18] = 200
    return images


def changed(name: str, images: np.ndarray, seed: tuple[int, int] = (1, 2)) -> np.ndarray:
    augment = augmentation(name)
    assert augment is not None
    return augment(tf.constant(images), tf.constant(seed)).numpy()


def moved(images: np.ndarray, strength: Strength) -> np.ndarray:
    places = _places(tf.constant(len(images)), tf.constant((1, 2)), strength)
    return _sample(tf.constant(images), *places).numpy()


@EACH
def test_images_keep_their_shape_type_and_most_of_their_light(
    name: str, images: np.ndarray
) -> None:
    found = changed(name, images)
    assert (found.shape, found.dtype) == (images.shape, np.uint8)
    assert found.max() <= 200
    light = found.sum((1, 2)) / images[0].sum()
    assert 0.6 < light.min() < light.max() < 1.6
    assert abs(light.mean() - 1) < 0.1


@EACH
def test_each_image_is_changed_in_its_own_way(name: str, images: np.ndarray) -> None:
    found = changed(name, images)
    assert len(np.unique(found.reshape(64, -1), axis=0)) == 64


@EACH
def test_the_seed_alone_decides(name: str, images: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(name, images), changed(name, images))
    assert (changed(name, images) != changed(name, images, (1, 3))).any()
    assert (changed(name, images) != changed(name, images, (2, 2))).any()


def test_no_strength_is_no_change() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    np.testing.assert_array_equal(moved(noise, Strength(0, 0, 0, 0)), noise)


def test_moving_goes_as_far_as_it_may_and_no_farther(images: np.ndarray) -> None:
    found = moved(images, Strength(0, 2, 0, 0)).astype(float)
    light = found.sum((1, 2))
    axis = np.arange(28)
    rows = (found.sum(2) @ axis) / light - 13.5
    columns = (found.sum(1) @ axis) / light - 13.5
    for centre in (rows, columns):
        assert -2.01 < centre.min() < -1.5
        assert 1.5 < centre.max() < 2.01


def test_turning_leaves_the_centre_of_mass(images: np.ndarray) -> None:
    found = moved(images, Strength(30, 0, 0, 0)).astype(float)
    axis = np.arange(28)
    np.testing.assert_allclose((found.sum(2) @ axis) / found.sum((1, 2)), 13.5, atol=0.05)
    assert (found[:, 13, 13] == 200).all()
    assert (found != images).any()


def test_what_was_outside_is_black() -> None:
    white = np.full((64, 28, 28), 255, np.uint8)
    found = moved(white, Strength(0, 6, 0, 0))
    assert set(np.unique(found[:, 8:20, 8:20])) == {255}
    assert (found[:, [0, -1]] == 0).any()


def test_none_changes_nothing_and_an_unknown_name_is_refused() -> None:
    assert augmentation("none") is None
    with pytest.raises(
        ValueError, match="expected an augmentation of none, affine, wide, elastic; got"
    ):
        augmentation("mirror")


def test_a_training_sees_other_images_in_each_epoch_and_the_same_after_a_break(
    images: np.ndarray,
) -> None:
    digits = Digits(images[:16], np.arange(16, dtype=np.int64))

    def batches(epoch: int, step: int) -> list[np.ndarray]:
        data = training_batches(digits, 4, lambda x: x, 5, epoch, 4, step, augmentation("affine"))
        return [pixels for pixels, _ in data.take(8).as_numpy_iterator()]

    whole, rest = batches(0, 0), batches(1, 2)
    np.testing.assert_array_equal(rest[:2], whole[6:])
    first, second = np.sort(np.concatenate(whole[:4]), 0), np.sort(np.concatenate(whole[4:]), 0)
    assert (first != second).any()
