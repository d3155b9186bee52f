"""Which precision and which devices a training gets; run as a script, it trains on two devices."""

import json
import pathlib
import re
import subprocess
import sys
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.features import to_pixels
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings
from components.training import devices, precision, probe
from components.training.dataset import Digits
from components.training.fit import FitJob, FitResult, dtype_policy, fit

pytestmark = pytest.mark.slow

STEPS_PER_EXECUTION = 2
TWO_DEVICES = ("CPU:0", "CPU:1")
WITH_AMX = "flags\t\t: fpu sse2 avx512f amx_bf16 amx_tile\n"
WITHOUT_BFLOAT16 = "flags\t\t: fpu sse2 avx2 avx512f amx_int8\n"


CLIP_NORM = 0.1  # less than the gradients have


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    """The network of these tests: one hidden layer and no dropout, and gradients that are clipped.

    Clipping tells gradients that are added first from ones that are clipped first.
    """
    network = keras.Sequential(
        [
            keras.layers.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    return compile_classifier(network, hparams, CLIP_NORM)


def job(
    state_dir: pathlib.Path | None = None,
    epochs: int = 3,
    precision: str = "float32",
    devices: str = "auto",
) -> FitJob:
    """A training on 128 images, each with a bright row for its label."""
    labels = np.arange(128) % 10
    images = np.random.default_rng(0).integers(0, 60, (128, 28, 28)).astype(np.uint8)
    images[np.arange(128), 2 * labels + 4] += 150
    digits = Digits(images, labels.astype(np.int64))
    return FitJob(
        what="rows",
        model=ModelSettings(
            "rows", __name__, (28, 28, 1), "float32", "constant", seed=5, devices=devices
        ),
        precision=precision,
        batch_size=32,
        learning_rate=0.01,
        epochs=epochs,
        patience=epochs,
        train=digits,
        eval_=digits.first(50),
        transform=lambda image: to_pixels(image, (28, 28, 1)),
        state_dir=state_dir,
    )


def losses(result: FitResult) -> dict[str, Any]:
    return {
        "loss": [epoch["loss"] for epoch in result.record.history],
        "val_loss": [epoch["val_loss"] for epoch in result.record.history],
        "weights": [float(np.abs(w).sum()) for w in result.model.get_weights()],
        "replicas": result.model.distribute_strategy.num_replicas_in_sync,
    }


def train_on_two_devices(state_dir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Trains on one device, on two with a break, and on two in float16; in a new process."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    found = {"alone": losses(fit(job()))}
    with mock.patch.object(devices, "prepare_gpus", return_value=TWO_DEVICES):
        fit(job(state_dir, epochs=1))
        found["mirrored"] = losses(fit(job(state_dir, devices="mirrored")))
        found["float16"] = losses(fit(job(epochs=1, precision="mixed_float16")))
    return found


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    command = [sys.executable, __file__, str(tmp_path_factory.mktemp("state"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("capability", "policy"),
    [
        (None, "float32"),
        ((6, 1), "float32"),
        ((7, 0), "mixed_float16"),
        ((7, 5), "mixed_float16"),
        ((8, 0), "mixed_bfloat16"),
        ((9, 0), "mixed_bfloat16"),
        ((12, 0), "mixed_bfloat16"),
    ],
)
def test_a_gpu_s_capability_decides_its_precision(
    capability: tuple[int, int] | None, policy: str
) -> None:
    assert precision.policy_of_gpu(capability) == policy


@pytest.mark.parametrize(
    ("cpuinfo", "bfloat16_seconds", "policy"),
    [
        (WITH_AMX, 0.5, "mixed_bfloat16"),
        (WITH_AMX.replace("amx_bf16", "avx512_bf16"), 0.5, "mixed_bfloat16"),
        (WITH_AMX, 60.0, "float32"),
        (WITH_AMX, 1.0, "float32"),
        (WITH_AMX, 0.9, "float32"),
        (WITHOUT_BFLOAT16, 0.5, "float32"),
        (WITH_AMX.replace("amx_bf16", "amx_bf16x"), 0.5, "float32"),
        ("", 0.5, "float32"),
    ],
)
def test_a_cpu_s_flags_and_its_speed_must_both_speak_for_bfloat16(
    cpuinfo: str, bfloat16_seconds: float, policy: str
) -> None:
    assert precision.policy_of_cpu(cpuinfo, bfloat16_seconds, 1.0) == policy


@pytest.mark.parametrize(
    ("policy", "gpus", "cpuinfo", "there"),
    [
        ("mixed_bfloat16", False, WITH_AMX, True),
        ("float32", False, WITH_AMX, False),
        ("mixed_bfloat16", False, WITH_AMX.replace("amx_bf16", "avx512_bf16"), False),
        ("mixed_bfloat16", False, "", False),
        ("float32", True, WITHOUT_BFLOAT16, True),
    ],
)
def test_a_matrix_unit_is_a_gpu_or_amx_in_bfloat16(
    policy: str, gpus: bool, cpuinfo: str, there: bool
) -> None:
    assert precision.uses_matrix_unit(policy, gpus, cpuinfo) is there


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_precision_set_by_hand_is_taken_as_it_is(name: str) -> None:
    assert precision.resolve(name) == name
    with dtype_policy(precision.resolve(name)):
        assert keras.config.dtype_policy().name == name
    assert keras.config.dtype_policy().name == "float32"


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a precision of") as caught:
        precision.resolve("bfloat16")
    assert str(caught.value) == (
        "expected a precision of auto, float32, mixed_bfloat16, mixed_float16; got 'bfloat16'"
    )


@pytest.mark.parametrize(
    ("flags", "times", "policy"),
    [
        (WITH_AMX, {tf.bfloat16: 1.0, tf.float32: 6.0}, "mixed_bfloat16"),
        (WITH_AMX, {tf.bfloat16: 6.0, tf.float32: 1.0}, "float32"),
        (WITHOUT_BFLOAT16, {}, "float32"),
    ],
)
def test_auto_probes_only_a_cpu_that_has_the_flags(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: str,
    times: dict[tf.DType, float],
    policy: str,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(flags)
    monkeypatch.setattr(precision, "CPUINFO", cpuinfo)
    monkeypatch.setattr(precision, "_seconds", lambda *dtypes: [times[d] for d in dtypes])
    assert precision.resolve("auto") == policy


def test_auto_gives_float32_where_nothing_is_known_of_the_cpu(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "absent")
    assert precision.resolve("auto") == "float32"


def test_auto_gives_a_policy_of_keras_here() -> None:
    assert precision.resolve("auto") in precision.POLICIES


def test_a_model_s_speed_is_measured_in_training_and_in_prediction() -> None:
    settings = ModelSettings(
        "sequential", "components.models.sequential", (28, 28, 1), "mixed_bfloat16", "constant", 0
    )
    with mock.patch.object(probe, "MOST_STEPS", 1):
        found = probe.measure(settings, 2)
    assert found.precision == "mixed_bfloat16"
    assert min(found.train, found.predict, found.export) > 0
    assert keras.config.dtype_policy().name == "float32"


def test_the_probe_really_multiplies() -> None:
    fastest = 2 * precision.PROBE_SIDE**3 / 50e12  # seconds at 50 TFLOP/s, more than any CPU has
    in_turn = precision._seconds(tf.bfloat16, tf.float32)
    assert len(in_turn) == 2
    assert all(fastest < seconds < 60 for seconds in in_turn)


def test_without_a_gpu_there_are_no_devices_to_prepare() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert devices.prepare_gpus() == []


@pytest.mark.parametrize(
    ("choice", "gpus"),
    [("auto", []), ("auto", ["GPU:0"]), ("one", []), ("one", ["GPU:0", "GPU:1"])],
)
def test_one_device_needs_no_mirrors(choice: str, gpus: list[str]) -> None:
    strategy = devices.strategy_for(choice, gpus)
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1


@pytest.mark.parametrize(
    ("choice", "gpus", "words"),
    [
        ("mirrored", ["GPU:0"], "at least 2 GPUs for the devices `mirrored`; found 1: take `auto`"),
        ("two", [], "devices of auto, one, mirrored, multi-worker; got 'two'"),
        ("multi-worker", [], "got 'multi-worker'"),
    ],
)
def test_devices_that_cannot_be_had_are_refused(choice: str, gpus: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        devices.strategy_for(choice, gpus)


def test_several_devices_are_mirrored(on_two_devices: dict[str, dict[str, Any]]) -> None:
    assert on_two_devices["alone"]["replicas"] == 1
    assert on_two_devices["mirrored"]["replicas"] == 2


def test_two_devices_learn_what_one_learns_and_go_on_from_a_checkpoint(
    on_two_devices: dict[str, dict[str, Any]],
) -> None:
    alone, mirrored = on_two_devices["alone"], on_two_devices["mirrored"]
    assert len(mirrored["loss"]) == 3
    assert mirrored["loss"][-1] < 0.5 * mirrored["loss"][0]
    for figure in ("loss", "val_loss", "weights"):
        np.testing.assert_allclose(mirrored[figure], alone[figure], rtol=1e-4)


def test_two_devices_learn_in_float16(on_two_devices: dict[str, dict[str, Any]]) -> None:
    half = on_two_devices["float16"]
    assert half["replicas"] == 2
    np.testing.assert_allclose(half["loss"], on_two_devices["alone"]["loss"][:1], rtol=0.05)


if __name__ == "__main__":
    print(json.dumps(train_on_two_devices(pathlib.Path(sys.argv[1]))))
