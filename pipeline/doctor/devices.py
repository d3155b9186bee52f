"""What one TensorFlow in a process of its own sees: Keras, TensorBoard, GPUs; not the CPU."""

import json
import signal
import sys
from collections.abc import Iterable
from typing import Any, Final

from pipeline.doctor.check import REINSTALL, Check, guarded, last_words, run_command

_TENSORFLOW_SECONDS: Final = 180.0  # a cold import without bytecode took 30 s

_TENSORFLOW_PROBE: Final = """
import json
from importlib import metadata
import tensorflow as tf

def keras():
    return metadata.version(tf.keras.Model.__module__.split(".")[0])

def tensorboard():
    import tensorboard.summary
    return tensorboard.version.VERSION

def gpus():
    details = map(
        tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU")
    )
    return [[d.get("device_name", "GPU"), d.get("compute_capability")] for d in details]

def ask(question):
    try:
        return {"answer": question()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}

print(json.dumps({question.__name__: ask(question) for question in (keras, tensorboard, gpus)}))
"""


def tensorflow_checks() -> list[Check]:
    """Keras, TensorBoard and GPUs as one TensorFlow in a process of its own sees them."""
    try:
        answers = _ask_tensorflow()
    except Exception as error:
        answers = {key: {"error": str(error)} for key in ("keras", "tensorboard", "gpus")}
    return [
        guarded("tf.keras", lambda: keras_check(**answers["keras"])),
        guarded("TensorBoard", lambda: tensorboard_check(**answers["tensorboard"])),
        guarded("GPU", lambda: gpu_check(**answers["gpus"]), worst="warn"),
    ]


def _ask_tensorflow() -> dict[str, dict[str, Any]]:
    done = run_command([sys.executable, "-c", _TENSORFLOW_PROBE], _TENSORFLOW_SECONDS)
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    code = done.returncode
    ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise RuntimeError(f"TensorFlow does not start ({ending}): {last_words(done)}")


def keras_check(answer: str = "", error: str = "") -> Check:
    """`answer` is the version of tf.keras: a container's environment may ask for Keras 2."""
    if error:
        return Check("tf.keras", "fail", error, REINSTALL)
    if answer.startswith("3."):
        return Check("tf.keras", "ok", f"Keras {answer}")
    advice = "KerasTuner and the models need Keras 3: `unset TF_USE_LEGACY_KERAS`, or set it to 0."
    return Check("tf.keras", "fail", f"Keras {answer}", advice)


def tensorboard_check(answer: str = "", error: str = "") -> Check:
    """TensorFlow no longer installs it, and Keras' callback dies without it."""
    if error:
        return Check("TensorBoard", "fail", error, REINSTALL)
    return Check("TensorBoard", "ok", answer)


def gpu_check(answer: Iterable[tuple[str, Iterable[int] | None]] = (), error: str = "") -> Check:
    """`answer` is name and compute capability of each GPU that TensorFlow sees."""
    gpus = [f"{name}, compute capability {'.'.join(map(str, cc or '?'))}" for name, cc in answer]
    if gpus:
        return Check("GPU", "ok", "; ".join(gpus))
    advice = "To use one from NVIDIA: install its driver, then run `make setup EXTRA=gpu`."
    return Check("GPU", "warn", error or "TensorFlow sees none, the CPU trains", advice)
