"""The exported model: the same answers through every signature, in float32, and what it refuses."""

import dataclasses
import importlib
import json
import pathlib
import shutil
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components.features import IMAGE, LABEL, to_pixels
from components.models import REGISTRY
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings, TrainSettings, to_config
from components.training import scoring
from components.training.export import export, float32_copy, transform_of
from components.training.fit import dtype_policy
from components.training.run import PREDICTIONS_FILE, TRAINING_FILE, run_fn
from components.training.state import FINISHED

pytestmark = pytest.mark.slow

STEPS_PER_EXECUTION = 1
LABELS = np.arange(12) % 10
INPUT_SHAPE = (32, 32, 3)
SETTINGS = ModelSettings("tiny", __name__, INPUT_SHAPE, "float32", "constant", seed=5)
SPREAD = keras.initializers.RandomNormal(stddev=0.5, seed=7)  # so that the answers differ
# One white pixel: as small as a GIF gets.
GIF = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)


def network(input_shape: tuple[int, ...]) -> keras.Sequential:
    """The network of these tests; its last layer is in float32 as every model's is."""
    return keras.Sequential(
        [
            keras.layers.Input(input_shape),
            keras.layers.Conv2D(2, 5, strides=4, activation="relu", kernel_initializer=SPREAD),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(
                10, activation="softmax", kernel_initializer=SPREAD, dtype="float32"
            ),
        ]
    )


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    return compile_classifier(network(input_shape), hparams)


def some_digits() -> np.ndarray:
    """Returns uint8 [12, 28, 28]: noise of several shades, the darkest and the brightest image."""
    shades = np.linspace(20, 256, 10, dtype=int)
    random = np.random.default_rng(0)
    noise = [random.integers(0, shade, (28, 28)) for shade in shades]
    return np.array([*noise, np.zeros((28, 28)), np.full((28, 28), 255)], np.uint8)


def png(image: np.ndarray) -> bytes:
    """Returns a PNG of uint8 [height, width] (grey) or [height, width, 3]."""
    return tf.io.encode_png(image.reshape(*image.shape[:2], -1)).numpy()


def example(image: np.ndarray, label: int) -> bytes:
    """Returns a serialized tf.Example."""
    values = {IMAGE: image.ravel().tolist(), LABEL: [label]}
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    whole = tf.train.Example(features=tf.train.Features(feature=features))
    return whole.SerializeToString()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return network(INPUT_SHAPE)


@pytest.fixture(scope="module")
def folder(
    model: keras.Model,
    transform_output: tft.TFTransformOutput,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Where the model was exported to."""
    folder = str(tmp_path_factory.mktemp("model"))
    export(model, transform_output, folder)
    return folder


@pytest.fixture(scope="module")
def served(folder: str) -> Any:
    """The exported model, read back."""
    return tf.saved_model.load(folder)


@pytest.fixture(scope="module")
def expected(model: keras.Model) -> np.ndarray:
    """What the network answers to the pixels, without the Transform graph or the export."""
    pixels = to_pixels(tf.constant(some_digits()), INPUT_SHAPE)
    return model(pixels, training=False).numpy()


def through(served: Any, signature: str) -> dict[str, tf.Tensor]:
    """Returns a signature's answers to the digits."""
    inputs = {
        "serving_default": {"image": some_digits()},
        "png": {"image_bytes": [png(image) for image in some_digits()]},
        "examples": {"examples": [example(image, 0) for image in some_digits()]},
    }
    values = {name: tf.constant(value) for name, value in inputs[signature].items()}
    return served.signatures[signature](**values)


def refusal(served: Any, *images: bytes) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        served.signatures["png"](image_bytes=tf.constant(list(images)))
    return str(caught.value)


def test_the_digits_of_these_tests_get_different_answers(expected: np.ndarray) -> None:
    assert len(set(expected.argmax(-1).tolist())) >= 3
    assert expected.std(axis=0).max() > 0.1


def test_training_transforms_as_the_model_is_tested(
    model: keras.Model, transform_output: tft.TFTransformOutput, expected: np.ndarray
) -> None:
    found = scoring.predict(model, some_digits(), transform_of(transform_output))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "png", "examples"])
def test_every_signature_answers_as_in_training(
    served: Any, expected: np.ndarray, signature: str
) -> None:
    answer = through(served, signature)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(answer["digit"], expected.argmax(-1))


def test_there_are_three_signatures_with_one_input_each(served: Any) -> None:
    inputs = {
        name: [
            (s.name, s.dtype, s.shape.as_list()) for s in f.structured_input_signature[1].values()
        ]
        for name, f in served.signatures.items()
    }
    assert inputs == {
        "serving_default": [("image", tf.uint8, [None, 28, 28])],
        "png": [("image_bytes", tf.string, [None])],
        "examples": [("examples", tf.string, [None])],
    }


def test_every_signature_answers_probabilities_and_a_digit(served: Any) -> None:
    for signature in served.signatures.values():
        outputs = {
            name: (spec.dtype, spec.shape.as_list())
            for name, spec in signature.structured_outputs.items()
        }
        assert outputs == {
            "probabilities": (tf.float32, [None, 10]),
            "digit": (tf.int64, [None]),
        }


def test_a_session_answers_as_in_training(folder: str, expected: np.ndarray) -> None:
    """TF Serving loads a model so: what is saved must be what the signatures read."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        signature = graph.signature_def["serving_default"]
        image, answer = signature.inputs["image"].name, signature.outputs["probabilities"].name
        got = session.run(answer, {image: some_digits()})
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_an_empty_batch_gets_an_empty_answer(served: Any) -> None:
    answer = served.signatures["png"](image_bytes=tf.constant([], tf.string))
    assert answer["probabilities"].shape == (0, 10)


def test_a_colour_png_is_read_as_grey(served: Any, expected: np.ndarray) -> None:
    colour = [png(np.repeat(image[..., None], 3, axis=-1)) for image in some_digits()]
    answer = served.signatures["png"](image_bytes=tf.constant(colour))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_a_jpeg_and_a_gif_are_refused_as_no_png(served: Any) -> None:
    jpeg = tf.io.encode_jpeg(some_digits()[0][..., None]).numpy()
    assert tf.io.decode_gif(GIF).shape == (1, 1, 1, 3)
    for image in (jpeg, GIF):
        message = refusal(served, image)
        assert "expected a PNG; the bytes do not begin like one" in message


@pytest.mark.parametrize("image", [b"", b"7", b"\xff\xd8\xff", b"\x89PNG"])
def test_a_few_bytes_are_refused_as_no_png(served: Any, image: bytes) -> None:
    assert "expected a PNG; the bytes do not begin like one" in refusal(served, image)


@pytest.mark.parametrize(("height", "width"), [(28, 29), (29, 28), (1, 784), (1000, 1000)])
def test_a_png_of_another_size_is_refused(served: Any, height: int, width: int) -> None:
    message = refusal(served, png(np.zeros((height, width), np.uint8)))
    assert "expected a PNG of 28x28 pixels" in message


def test_a_truncated_png_is_refused(served: Any) -> None:
    whole = png(some_digits()[9])
    assert "expected a PNG of 28x28 pixels" in refusal(served, whole[:20])
    for size in (40, len(whole) // 2, len(whole) - 12):
        assert "Invalid PNG" in refusal(served, whole[:size])


def test_one_bad_image_refuses_the_batch(served: Any) -> None:
    message = refusal(served, png(some_digits()[0]), b"not an image")
    assert "expected a PNG; the bytes do not begin like one" in message


def test_an_example_without_an_image_is_refused(served: Any) -> None:
    empty = tf.train.Example().SerializeToString()
    with pytest.raises(tf.errors.InvalidArgumentError, match="image .* is required"):
        served.signatures["examples"](examples=tf.constant([empty]))


def test_a_model_trained_in_bfloat16_is_exported_in_float32(
    transform_output: tft.TFTransformOutput, tmp_path: pathlib.Path
) -> None:
    keras.utils.set_random_seed(1)
    with dtype_policy("mixed_bfloat16"):
        trained = network(INPUT_SHAPE)
    pixels = to_pixels(tf.constant(some_digits()), INPUT_SHAPE)
    copy = float32_copy(trained, SETTINGS)
    export(copy, transform_output, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    answer = through(loaded, "serving_default")["probabilities"]
    np.testing.assert_allclose(answer, copy(pixels, training=False), atol=1e-5)
    np.testing.assert_allclose(answer, trained(pixels, training=False), atol=0.2)
    assert not np.allclose(answer, trained(pixels, training=False), atol=1e-5)
    signature = loaded.signatures["serving_default"]
    assert "DT_BFLOAT16" not in str(signature.graph.as_graph_def())
    assert {variable.dtype for variable in signature.variables} == {tf.float32}


@pytest.mark.parametrize(("name", "side"), [("sequential", 28), ("alexnet-book", 67)])
def test_a_copy_in_float32_has_every_weight(name: str, side: int) -> None:
    module = importlib.import_module(REGISTRY[name])
    shape = (side, side, module.INPUT_SHAPE[-1])
    with dtype_policy("mixed_bfloat16"):
        trained = module.build(HParams(1e-3), shape)
    copy = float32_copy(trained, ModelSettings(name, REGISTRY[name], shape, "", "", 0))
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    for one, other in zip(copy.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def train(
    transform_output: tft.TFTransformOutput, folder: pathlib.Path, **changes: Any
) -> dict[str, Any]:
    """Trains on 8 digits below `folder`, tests on 12, and returns what was measured."""
    settings = TrainSettings(
        model=SETTINGS,
        images=8,
        eval_images=0,
        epochs=2,
        patience=2,
        hyperparameters={},
        rung="1",
        state_dir=str(folder / "state"),
        code="",
    )
    settings = dataclasses.replace(settings, **changes)
    for split in ("train", "eval"):
        (folder / split).mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / split / "data.gz"), "GZIP") as writer:
            for image, label in zip(some_digits(), LABELS.tolist(), strict=True):
                writer.write(example(image, label))
    run_fn(
        FnArgs(
            train_files=[str(folder / "train" / "*")],
            eval_files=[str(folder / "eval" / "*")],
            transform_output=transform_output.transform_savedmodel_dir.rpartition("/")[0],
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "run"),
            hyperparameters={"values": {"batch_size": 4, "learning_rate": 0.001}},
            custom_config=json.loads(json.dumps(to_config(settings))),
        )
    )
    return json.loads((folder / "run" / TRAINING_FILE).read_text())


def test_the_trainer_writes_a_model_and_what_it_measured(
    transform_output: tft.TFTransformOutput, tmp_path: pathlib.Path
) -> None:
    report = train(transform_output, tmp_path)
    assert (report["train_images"], report["eval_images"], report["epochs"]) == (8, 12, 2)
    assert (report["batch_size"], report["learning_rate"]) == (4, 0.001)
    assert report["params"] == network(INPUT_SHAPE).count_params()
    with np.load(tmp_path / "run" / PREDICTIONS_FILE) as predictions:
        answer = through(tf.saved_model.load(str(tmp_path / "model")), "serving_default")
        np.testing.assert_allclose(answer["probabilities"], predictions["probabilities"], atol=1e-5)
        np.testing.assert_array_equal(predictions["labels"], LABELS)
    assert list((tmp_path / "state").iterdir()) == []


def test_a_training_whose_model_was_lost_on_its_way_is_not_done_again(
    transform_output: tft.TFTransformOutput, tmp_path: pathlib.Path
) -> None:
    earlier = tmp_path / "state" / f"tiny-{'0' * 16}"
    earlier.mkdir(parents=True)
    (earlier / FINISHED).touch()
    first = train(transform_output, tmp_path, keep_state=True)
    assert not earlier.exists()
    shutil.rmtree(tmp_path / "model")
    shutil.rmtree(tmp_path / "run")
    again = train(transform_output, tmp_path, keep_state=True)
    assert again["history"] == first["history"]  # with the seconds of each epoch
    answer = through(tf.saved_model.load(str(tmp_path / "model")), "serving_default")
    with np.load(tmp_path / "run" / PREDICTIONS_FILE) as predictions:
        np.testing.assert_allclose(answer["probabilities"], predictions["probabilities"], atol=1e-5)
