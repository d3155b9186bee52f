"""Digits from disk, the order of an epoch, the Transform graph, learning rates and scores."""

import pathlib
from collections.abc import Iterable

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.features import IMAGE, LABEL, PIXELS, preprocessing_fn, to_pixels
from components.training import scoring
from components.training.augmentation import augmentation
from components.training.dataset import (
    PREDICT_BATCH,
    Digits,
    Share,
    prediction_batches,
    read_split,
    steps_in_epoch,
    training_batches,
)
from components.training.schedule import OneCycle, learning_rate

pytestmark = pytest.mark.slow


def numbered(count: int) -> Digits:
    """Digits whose image and label are their own place in the file."""
    places = np.arange(count)
    images = np.broadcast_to(places[:, None, None], (count, 28, 28)).astype(np.uint8)
    return Digits(images, places.astype(np.int64))


def corner(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image[:, 0, 0], tf.float32)


def orders(
    images: int, batch_size: int, epochs: int, seed: int = 3, first_epoch: int = 0
) -> list[list[int]]:
    """Returns for each epoch the places of the images, in the order in which they come."""
    steps = steps_in_epoch(images, batch_size)
    batches = training_batches(numbered(images), batch_size, corner, seed, first_epoch, steps)
    places = []
    for pixels, labels in batches.take(epochs * steps).as_numpy_iterator():
        np.testing.assert_array_equal(pixels, labels)
        places += labels.tolist()
    return np.reshape(places, (epochs, steps * batch_size)).tolist()


@pytest.mark.parametrize("of", [2, 3])
def test_the_shares_of_all_processes_are_the_batches_of_one(of: int) -> None:
    augment = augmentation("affine")

    def taken(share: Share, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        images = np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)
        digits = Digits(images, np.arange(12))
        made = training_batches(digits, 4, lambda x: x, 3, 1, 3, 2, augment, share)
        return list(made.take(count).as_numpy_iterator())

    whole = taken(Share(), 2)
    first, rest = taken(Share(0, 1, of), 2), taken(Share(1, of - 1, of), 2 * (of - 1))
    for step, batch in enumerate(whole):
        parts = [first[step], *rest[step * (of - 1) : (step + 1) * (of - 1)]]
        for figure in range(2):
            joined = np.concatenate([part[figure] for part in parts])
            np.testing.assert_array_equal(joined, batch[figure])


def write_records(path: pathlib.Path, digits: Iterable[tuple[np.ndarray, int]]) -> None:
    compression = "GZIP" if path.suffix == ".gz" else ""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for image, label in digits:
            values = {IMAGE: image.ravel().tolist(), LABEL: [label]}
            features = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
                for name, value in values.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def pairs(digits: Digits, start: int, end: int) -> Iterable[tuple[np.ndarray, int]]:
    return zip(digits.images[start:end], digits.labels[start:end].tolist(), strict=True)


def test_a_split_is_read_in_the_order_of_its_files(tmp_path: pathlib.Path) -> None:
    digits = numbered(30)
    for number, start in reversed(list(enumerate(range(0, 30, 10)))):
        name = f"data_tfrecord-{number:05d}-of-00003.gz"
        write_records(tmp_path / name, pairs(digits, start, start + 10))
    found = read_split(str(tmp_path / "*"))
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(found.images, digits.images)
    np.testing.assert_array_equal(found.labels, digits.labels)


def test_a_split_without_compression_is_read_too(tmp_path: pathlib.Path) -> None:
    write_records(tmp_path / "data_tfrecord-00000-of-00001", pairs(numbered(3), 0, 3))
    np.testing.assert_array_equal(read_split(str(tmp_path / "*")).labels, [0, 1, 2])


def test_every_pixel_keeps_its_place_and_its_value(tmp_path: pathlib.Path) -> None:
    image = np.arange(784).astype(np.uint8).reshape(28, 28)
    write_records(tmp_path / "one.gz", [(image, 7)])
    np.testing.assert_array_equal(read_split(str(tmp_path / "*")).images, [image])


def test_a_split_without_files_is_refused(tmp_path: pathlib.Path) -> None:
    pattern = str(tmp_path / "Split-train" / "*")
    with pytest.raises(FileNotFoundError) as caught:
        read_split(pattern)
    assert str(caught.value) == f"expected TFRecord files at {pattern}; found none"


def test_the_first_digits_are_taken_and_zero_means_all() -> None:
    digits = numbered(5)
    assert digits.first(2).labels.tolist() == [0, 1]
    assert digits.first(2).images.shape == (2, 28, 28)
    assert len(digits.first(0).labels) == len(digits.first(9).labels) == 5


def test_an_incomplete_batch_is_left_out() -> None:
    assert [steps_in_epoch(n, 8) for n in (8, 15, 16)] == [1, 1, 2]


def test_fewer_images_than_one_batch_are_refused() -> None:
    expected = (
        "expected at least one batch of 64 images; got 63: take a smaller batch size or more images"
    )
    with pytest.raises(ValueError, match=expected):
        steps_in_epoch(63, 64)


def test_an_epoch_is_a_permutation_of_the_images() -> None:
    for order in orders(images=40, batch_size=8, epochs=3):
        assert sorted(order) == list(range(40))
        assert order != list(range(40))


def test_an_image_comes_at_most_once_an_epoch_and_each_comes_in_some_epoch() -> None:
    found = orders(images=23, batch_size=5, epochs=12)
    assert all(len(set(order)) == 20 for order in found)
    assert set().union(*found) == set(range(23))


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    first, second = orders(images=40, batch_size=8, epochs=2)
    assert first != second
    assert orders(images=40, batch_size=8, epochs=2, seed=3) == [first, second]
    assert orders(images=40, batch_size=8, epochs=1, seed=4) != [first]


def test_going_on_at_an_epoch_gives_what_starting_at_the_first_gives() -> None:
    whole = orders(images=23, batch_size=5, epochs=5)
    assert orders(images=23, batch_size=5, epochs=2, first_epoch=3) == whole[3:]


def test_predictions_come_in_file_order_with_the_last_ones() -> None:
    images = numbered(PREDICT_BATCH + 3).images
    batches = list(prediction_batches(images, corner).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [PREDICT_BATCH, 3]
    np.testing.assert_array_equal(np.concatenate(batches), images[:, 0, 0])


def test_pixels_are_divided_by_255() -> None:
    image = np.zeros((1, 28, 28), np.int64)
    image[0, 0, :3] = (51, 128, 255)
    pixels = to_pixels(tf.constant(image), (28, 28, 1)).numpy()
    assert (pixels.dtype, pixels.shape) == (np.float32, (1, 28, 28, 1))
    np.testing.assert_allclose(pixels[0, 0, :4, 0], [0.2, 128 / 255, 1.0, 0.0], rtol=1e-6)
    assert np.count_nonzero(pixels) == 3


@pytest.mark.parametrize("side", [32, 56, 227])
def test_a_resize_interpolates_between_the_pixel_centres(side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28))
    places = (np.arange(side) + 0.5) * 28 / side - 0.5
    rows = np.array([np.interp(places, range(28), row) for row in image])
    expected = np.array([np.interp(places, range(28), column) for column in rows.T]).T / 255
    found = to_pixels(tf.constant(image[None]), (side, side, 1)).numpy()[0, :, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_grey_digit_is_repeated_over_the_channels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 28, 28))
    pixels = to_pixels(tf.constant(image), (32, 32, 3)).numpy()
    assert pixels.shape == (2, 32, 32, 3)
    grey = to_pixels(tf.constant(image), (32, 32, 1)).numpy()
    np.testing.assert_array_equal(pixels, np.repeat(grey, 3, axis=-1))


def test_the_traced_transform_knows_its_shape_and_passes_the_label_on() -> None:
    config = {"input_shape": [32, 32, 3]}

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.int64)])
    def traced(image: tf.Tensor) -> dict[str, tf.Tensor]:
        found = preprocessing_fn({IMAGE: image, LABEL: image[:, 0, 0]}, config)
        assert found[PIXELS].shape.as_list() == [None, 32, 32, 3]
        return found

    image = tf.constant(numbered(3).images, tf.int64)
    found = traced(image)
    assert found[LABEL].numpy().tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found[PIXELS], to_pixels(image, (32, 32, 3)))


def test_one_cycle_starts_low_peaks_after_a_fifth_and_ends_at_zero() -> None:
    schedule = learning_rate("one_cycle", 0.003, 1000)
    assert isinstance(schedule, OneCycle)
    rates = [float(schedule(tf.constant(step))) for step in (0, 200, 600, 1000, 1500)]
    np.testing.assert_allclose(rates, [0.00015, 0.003, 0.0015, 0.0, 0.0], rtol=1e-5, atol=1e-9)


def test_one_cycle_rises_in_a_line_and_falls_without_a_jump() -> None:
    schedule = OneCycle(1.0, 100)
    rates = np.array([float(schedule(tf.constant(step))) for step in range(101)])
    steps = np.diff(rates)
    np.testing.assert_allclose(steps[:20], 0.95 / 20, atol=1e-5)
    assert (steps[20:] < 0).all()
    assert abs(steps).max() < 0.05


def test_one_cycle_is_rebuilt_from_its_config() -> None:
    schedule = OneCycle(0.5, 7)
    again = OneCycle.from_config(schedule.get_config())
    assert float(again(tf.constant(3))) == float(schedule(tf.constant(3)))


def test_one_cycle_reaches_the_optimizer() -> None:
    optimizer = keras.optimizers.Adam(learning_rate("one_cycle", 0.01, 10))
    optimizer.build([keras.Variable([0.0])])
    assert float(optimizer.learning_rate) == pytest.approx(0.0005)
    optimizer.iterations.assign(2)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_a_constant_rate_stays_as_it_is() -> None:
    assert learning_rate("constant", 0.003, 1000) == 0.003


def test_a_warm_up_rises_over_a_fifth_of_the_steps_and_stays() -> None:
    schedule = learning_rate("warm_up", 0.01, 100)
    assert callable(schedule)
    rates = [float(schedule(tf.constant(step))) for step in (0, 10, 20, 21, 99, 500)]
    np.testing.assert_allclose(rates, [0.0005, 0.00525, 0.01, 0.01, 0.01, 0.01], rtol=1e-5)


def test_an_unknown_schedule_is_refused() -> None:
    expected = "expected the schedule 'constant', 'warm_up' or 'one_cycle'; got 'cosine'"
    with pytest.raises(ValueError, match=expected):
        learning_rate("cosine", 0.003, 1000)


def test_accuracy_is_the_share_of_right_answers() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    assert scoring.accuracy(probabilities, np.array([0, 1, 1, 1])) == 0.75


def test_cross_entropy_is_the_mean_in_nats_and_stays_finite() -> None:
    half = np.array([[0.5, 0.5], [0.25, 0.75]])
    expected = (np.log(2) + np.log(4)) / 2
    assert scoring.cross_entropy(half, np.array([0, 0])) == pytest.approx(expected)
    sure = np.array([[1.0, 0.0]])
    assert scoring.cross_entropy(sure, np.array([1])) == pytest.approx(-np.log(1e-7))


def test_predictions_are_what_the_model_answers_in_order() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    images = np.random.default_rng(0).integers(0, 256, (PREDICT_BATCH + 5, 28, 28), np.uint8)
    found = scoring.predict(model, images, lambda image: to_pixels(image, (28, 28, 1)))
    expected = model(to_pixels(tf.constant(images), (28, 28, 1)), training=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_tuner_makes_the_end_of_a_training_wait() -> None:
    digits = numbered(8)
    made = (
        training_batches(digits, 4, corner, 1, 0, 2),
        prediction_batches(digits.images, corner),
    )
    assert [batches.options().autotune.enabled for batches in made] == [False, False]
