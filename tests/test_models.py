"""The registered networks, layer for layer as the study lists them, and how they are compiled."""

import importlib
import inspect
import math
from collections.abc import Iterator

import keras
import pytest

from components.features import CLASSES
from components.models import DEFAULT_MODELS, REGISTRY, module_of
from components.models.compiling import HParams
from components.training.fit import dtype_policy

pytestmark = pytest.mark.slow

Rows = list[tuple[str, tuple[int, ...], int]]  # layer, output shape without the batch, parameters

SEQUENTIAL: Rows = [
    ("Conv2D", (28, 28, 64), 640),
    ("ReLU", (28, 28, 64), 0),
    ("Conv2D", (28, 28, 64), 36_928),
    ("ReLU", (28, 28, 64), 0),
    ("MaxPooling2D", (14, 14, 64), 0),
    ("Conv2D", (14, 14, 32), 18_464),
    ("Conv2D", (14, 14, 32), 9_248),
    ("MaxPooling2D", (7, 7, 32), 0),
    ("Flatten", (1_568,), 0),
    ("Dense", (512,), 803_328),
    ("Dense", (10,), 5_130),
]
ALEXNET: Rows = [
    ("Conv2D", (55, 55, 96), 11_712),
    ("MaxPooling2D", (27, 27, 96), 0),
    ("Conv2D", (23, 23, 256), 614_656),
    ("MaxPooling2D", (11, 11, 256), 0),
    ("Conv2D", (9, 9, 384), 885_120),
    ("Conv2D", (7, 7, 384), 1_327_488),
    ("Conv2D", (5, 5, 256), 884_992),
    ("MaxPooling2D", (2, 2, 256), 0),
    ("Flatten", (1_024,), 0),
    ("Dense", (4_096,), 4_198_400),
    ("Dropout", (4_096,), 0),
    ("Dropout", (4_096,), 0),
    ("Dropout", (4_096,), 0),
    ("Dense", (1_000,), 4_097_000),
    ("Dropout", (1_000,), 0),
    ("Dense", (10,), 10_010),
]
ALEXNET_BOOK: Rows = [
    ("Conv2D", (55, 55, 96), 34_944),
    ("Activation", (55, 55, 96), 0),
    ("MaxPooling2D", (27, 27, 96), 0),
    ("BatchNormalization", (27, 27, 96), 384),
    ("Conv2D", (27, 27, 256), 614_656),
    ("Activation", (27, 27, 256), 0),
    ("MaxPooling2D", (13, 13, 256), 0),
    ("BatchNormalization", (13, 13, 256), 1_024),
    ("Conv2D", (13, 13, 384), 885_120),
    ("Activation", (13, 13, 384), 0),
    ("BatchNormalization", (13, 13, 384), 1_536),
    ("Conv2D", (13, 13, 384), 1_327_488),
    ("Activation", (13, 13, 384), 0),
    ("BatchNormalization", (13, 13, 384), 1_536),
    ("Conv2D", (13, 13, 256), 884_992),
    ("Activation", (13, 13, 256), 0),
    ("BatchNormalization", (13, 13, 256), 1_024),
    ("MaxPooling2D", (6, 6, 256), 0),
    ("Flatten", (9_216,), 0),
    ("Dense", (4_096,), 37_752_832),
    ("Dropout", (4_096,), 0),
    ("Dense", (4_096,), 16_781_312),
    ("Dropout", (4_096,), 0),
    ("Dense", (1_000,), 4_097_000),
]
VGG16: Rows = [
    ("Conv2D", (224, 224, 64), 1_792),
    ("Conv2D", (224, 224, 64), 36_928),
    ("MaxPooling2D", (112, 112, 64), 0),
    ("Conv2D", (112, 112, 128), 73_856),
    ("Conv2D", (112, 112, 128), 147_584),
    ("MaxPooling2D", (56, 56, 128), 0),
    ("Conv2D", (56, 56, 256), 295_168),
    ("Conv2D", (56, 56, 256), 590_080),
    ("Conv2D", (56, 56, 256), 590_080),
    ("MaxPooling2D", (28, 28, 256), 0),
    ("Conv2D", (28, 28, 512), 1_180_160),
    ("Conv2D", (28, 28, 512), 2_359_808),
    ("Conv2D", (28, 28, 512), 2_359_808),
    ("MaxPooling2D", (14, 14, 512), 0),
    ("Conv2D", (14, 14, 512), 2_359_808),
    ("Conv2D", (14, 14, 512), 2_359_808),
    ("Conv2D", (14, 14, 512), 2_359_808),
    ("MaxPooling2D", (7, 7, 512), 0),
    ("Flatten", (25_088,), 0),
    ("Dense", (4_096,), 102_764_544),
    ("Dropout", (4_096,), 0),
    ("Dense", (4_096,), 16_781_312),
    ("Dropout", (4_096,), 0),
    ("Dense", (1_000,), 4_097_000),
]

# The name, the classes the study built it with, its rows, all parameters, the trainable ones.
STUDY = [
    ("sequential", 10, SEQUENTIAL, 873_738, 873_738),
    ("alexnet", 10, ALEXNET, 12_029_378, 12_029_378),
    ("alexnet-book", 1000, ALEXNET_BOOK, 62_383_848, 62_381_096),
    ("vgg16", 1000, VGG16, 138_357_544, 138_357_544),
]
ACTIVATIONS = {
    "sequential": ["linear", "linear", "relu", "relu", "relu", "softmax"],
    "alexnet": ["relu"] * 7 + ["softmax"],
    "alexnet-book": ["linear", "relu"] * 5 + ["relu", "relu", "softmax"],
    "vgg16": ["relu"] * 15 + ["softmax"],
}
PADDINGS = {
    "sequential": ["same"] * 4,
    "alexnet": ["valid"] * 5,
    "alexnet-book": ["valid"] + ["same"] * 4,
    "vgg16": ["same"] * 13,
}
# The smallest inputs that leave the last pooling something to take.
SMALL_SIDES = {"sequential": 28, "alexnet": 167, "alexnet-book": 67, "vgg16": 32}
DROPOUTS = {
    "sequential": [],
    "alexnet": [0.4, 0.4, 0.4, 0.4],
    "alexnet-book": [0.5, 0.5],
    "vgg16": [0.5, 0.5],
}


def rows(model: keras.Model) -> Rows:
    return [(type(x).__name__, x.output.shape[1:], x.count_params()) for x in model.layers]


@pytest.fixture(scope="module", params=STUDY, ids=[name for name, *_ in STUDY])
def study(request: pytest.FixtureRequest) -> Iterator[tuple[str, keras.Model, Rows, int, int]]:
    """One network of the study, built once: the largest takes half a gigabyte."""
    name, classes, *expected = request.param
    model = importlib.import_module(module_of(name)).network(classes=classes)
    yield name, model, *expected
    keras.backend.clear_session()


def test_every_layer_has_the_shape_and_the_parameters_that_the_study_lists(
    study: tuple[str, keras.Model, Rows, int, int],
) -> None:
    _, model, expected, *_ = study
    assert rows(model) == expected


def test_the_parameters_add_up_to_the_total_of_the_study(
    study: tuple[str, keras.Model, Rows, int, int],
) -> None:
    _, model, _, total, trainable = study
    assert model.count_params() == total
    assert sum(math.prod(w.shape) for w in model.trainable_variables) == trainable


def test_activations_and_dropout_are_the_study_s(
    study: tuple[str, keras.Model, Rows, int, int],
) -> None:
    name, model, *_ = study
    found = [x.activation.__name__ for x in model.layers if hasattr(x, "activation")]
    assert found == ACTIVATIONS[name]
    dropouts = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert dropouts == DROPOUTS[name]


def test_convolutions_are_padded_and_regularised_as_in_the_study(
    study: tuple[str, keras.Model, Rows, int, int],
) -> None:
    name, model, *_ = study
    found = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert [x.padding for x in found] == PADDINGS[name]
    decays = {x.kernel_regularizer and round(float(x.kernel_regularizer.l2), 7) for x in found}
    assert decays == {5e-4 if name == "alexnet-book" else None}


def test_vgg16_with_ten_classes_is_compiled_with_134301514_parameters() -> None:
    module = importlib.import_module(module_of("vgg16"))
    model = module.build(HParams(2e-4))
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 10)
    assert model.count_params() == 134_301_514
    assert model.optimizer.global_clipnorm == 1.0


def test_vgg16_takes_a_smaller_square() -> None:
    module = importlib.import_module(module_of("vgg16"))
    model = module.network((32, 32, 3), initializer="zeros")
    poolings = [x for x in model.layers if isinstance(x, keras.layers.MaxPooling2D)]
    assert [x.output.shape[1] for x in poolings] == [16, 8, 4, 2, 1]
    assert model.output_shape == (None, 10)


def test_the_registry_names_the_models_and_the_default_is_three_of_them() -> None:
    assert list(REGISTRY) == ["sequential", "alexnet", "vgg16", "alexnet-book"]
    assert DEFAULT_MODELS == ("sequential", "alexnet", "vgg16")


def test_an_unknown_model_is_refused_with_the_names_of_the_known() -> None:
    expected = "expected one of the models sequential, alexnet, vgg16, alexnet-book; got 'resnet'"
    with pytest.raises(KeyError, match=expected):
        module_of("resnet")


@pytest.mark.parametrize("name", REGISTRY)
def test_every_model_says_its_input_its_rates_and_its_steps(name: str) -> None:
    module = importlib.import_module(module_of(name))
    height, width, channels = module.INPUT_SHAPE
    assert height == width
    assert channels in (1, 3)
    low, high = module.LEARNING_RATES
    assert 0 < low < high < 0.1
    assert module.STEPS_PER_EXECUTION >= 1


def test_build_compiles_with_the_rate_and_the_steps_that_it_is_given() -> None:
    module = importlib.import_module(module_of("sequential"))
    model = module.build(HParams(0.00321, steps_per_execution=8))
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.00321)
    assert model.steps_per_execution == 8
    assert model.jit_compile is False
    assert model.loss == "sparse_categorical_crossentropy"


def test_weight_decay_shrinks_kernels_and_leaves_biases_and_no_decay_leaves_all() -> None:
    module = importlib.import_module(module_of("sequential"))
    for decay, left in ((0.5, 0.95), (0.0, 1.0)):
        model = module.build(HParams(0.1, weight_decay=decay))
        for weight in model.trainable_variables:
            weight.assign(keras.ops.ones(weight.shape))
        zeros = [keras.ops.zeros(weight.shape) for weight in model.trainable_variables]
        model.optimizer.apply(zeros, model.trainable_variables)
        found = {w.name: float(keras.ops.mean(w)) for w in model.trainable_variables}
        assert found == pytest.approx({"kernel": left, "bias": 1.0}, abs=1e-4)


def test_build_takes_a_schedule_for_the_rate() -> None:
    module = importlib.import_module(module_of("sequential"))
    decay = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.1)
    model = module.build(HParams(decay))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)
    model.optimizer.iterations.assign(1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize(("name", "side"), SMALL_SIDES.items())
def test_only_the_softmax_computes_in_float32_under_bfloat16(name: str, side: int) -> None:
    module = importlib.import_module(module_of(name))
    with dtype_policy("mixed_bfloat16"):
        model = module.network((side, side, module.INPUT_SHAPE[-1]), classes=10)
    *others, last = model.layers
    assert {layer.compute_dtype for layer in others} == {"bfloat16"}
    assert (last.compute_dtype, last.output.dtype) == ("float32", "float32")
    assert {str(w.dtype) for w in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_the_network_that_is_exported_has_the_classes_of_the_one_that_is_trained(name: str) -> None:
    module = importlib.import_module(module_of(name))
    for function in (module.network, module.build):
        assert inspect.signature(function).parameters["classes"].default == CLASSES
