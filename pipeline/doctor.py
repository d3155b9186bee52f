"""Checks of machine and installation for `mnist-tfx doctor`; the command line draws the table."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

State = Literal["ok", "warn", "fail"]

_GB: Final = 10**9
_DISK_GB: Final = (2, 5)  # fail below the first, warn below the second
_MEMORY_GB: Final = (3, 6)
_ENGINE_SECONDS: Final = 3.0
_TENSORFLOW_SECONDS: Final = 180.0  # a cold import without bytecode took 30 s
_REINSTALL: Final = "Run `rm -f .venv/.complete && make setup` in the project's folder."

_PACKAGES: Final = (
    *("tfx", "tensorflow", "keras", "apache-beam", "keras-tuner", "ml-metadata"),
    *("tensorflow-data-validation", "tensorflow-model-analysis", "tensorflow-serving-api"),
    *("protobuf", "numpy"),
)

# What [tool.uv] in pyproject.toml sets against TFX's own word; no installed metadata says it.
_OLD_GLIBC: Final = "the last with wheels for glibc below 2.39"
OVERRIDDEN: Final[Mapping[str, tuple[str, str]]] = {
    "ml-metadata": ("==1.17.1", _OLD_GLIBC),
    "tensorflow-data-validation": ("==1.16.1", _OLD_GLIBC),
}

# The best first. Without hardware for it bfloat16 is emulated, many times slower than float32.
_PRECISION: Final = (
    ("amx_bf16", "bfloat16 in matrix tiles trains fastest"),
    ("avx512_bf16", "bfloat16 in vector instructions often beats float32"),
    ("avx512f", "float32; bfloat16 would be emulated and slow"),
    ("avx2", "float32; bfloat16 would be emulated and slow"),
)

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


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, what was there, and, unless it is ok, what to do."""

    name: str
    state: State
    found: str
    advice: str = ""


def run_checks(workdir: Path) -> list[Check]:
    """Looks at all that a run in `workdir` needs; as slow as TensorFlow's import; never raises."""
    return [
        guarded("Python", lambda: python_check(sys.version_info[:3])),
        guarded("platform", this_platform_check),
        guarded("CPU", lambda: cpu_check(Path("/proc/cpuinfo").read_text())),
        guarded("memory", lambda: memory_check(available_memory())),
        guarded("disk", lambda: disk_check(workdir)),
        *(guarded(name, partial(installed_check, name)) for name in _PACKAGES),
        *tensorflow_checks(),
        guarded("model server", model_server_check, worst="warn"),
        guarded("container engine", engine_check, worst="warn"),
        guarded("kubectl", kubectl_check, worst="warn"),
    ]


def guarded(name: str, check: Callable[[], Check], worst: State = "fail") -> Check:
    """What `check` says, or, when it raises, state `worst` with the exception's words."""
    try:
        return check()
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Check(name, worst, words, "The check itself failed: report these words.")


def python_check(version: tuple[int, ...]) -> Check:
    """The lock is for Python 3.11 alone."""
    found = ".".join(map(str, version))
    if version[:2] == (3, 11):
        return Check("Python", "ok", found)
    advice = "Run `make setup`, then use .venv/bin/mnist-tfx."
    return Check("Python", "fail", f"{found}, needs 3.11", advice)


def this_platform_check() -> Check:
    """The platform of the running interpreter."""
    return platform_check(platform.system(), platform.machine(), platform.libc_ver())


def platform_check(system: str, machine: str, libc: tuple[str, str]) -> Check:
    """`libc` is name and version as `platform.libc_ver` gives them, empty for musl."""
    found = f"{system} {machine}, {' '.join(libc).strip() or 'a C library other than glibc'}"
    fits = (system, machine, libc[0]) == ("Linux", "x86_64", "glibc")
    if fits and tuple(map(int, libc[1].split("."))) >= (2, 28):
        return Check("platform", "ok", found)
    advice = "Use Linux on x86_64 with glibc 2.28 or newer, or a container of Debian 12."
    return Check("platform", "fail", found, advice)


def cpu_check(cpuinfo: str) -> Check:
    """Which precision pays on this CPU, by the flags in the text of /proc/cpuinfo."""
    lines = (line for line in cpuinfo.splitlines() if line.startswith("flags"))
    flags = {flag for line in lines for flag in line.split()}
    if "avx" not in flags:
        advice = "TensorFlow's wheels need AVX: use another CPU, or let the virtual machine see it."
        return Check("CPU", "fail", "no AVX", advice)
    present = [(flag, meaning) for flag, meaning in _PRECISION if flag in flags]
    if not present:
        return Check("CPU", "warn", "AVX alone", "Training is slow: use a CPU with AVX2 or newer.")
    return Check("CPU", "ok", f"{', '.join(flag for flag, _ in present)}: {present[0][1]}")


def memory_check(available: int) -> Check:
    """`available` is in bytes."""
    advice = "Close other programs, raise the container's limit, or run `--models sequential`."
    return _room("memory", available, _MEMORY_GB, "available", advice)


def available_memory() -> int:
    """Bytes that a run may still take: the machine's, or less under a cgroup's limit."""
    available = int(psutil.virtual_memory().available)
    try:
        membership = Path("/proc/self/cgroup").read_text()
    except OSError:
        return available
    headroom = cgroup_headroom(Path("/sys/fs/cgroup"), membership)
    return available if headroom is None else min(available, headroom)


def cgroup_headroom(root: Path, membership: str) -> int | None:
    """Bytes left under the tightest cgroup v2 limit on this process, None where there is none.

    Args:
        root: where the cgroup file system is mounted.
        membership: the text of /proc/self/cgroup.
    """
    own = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), None)
    if own is None:
        return None
    group = root / own.lstrip("/")
    above = (folder for folder in (group, *group.parents) if folder.is_relative_to(root))
    return min((left for left in map(_group_headroom, above) if left is not None), default=None)


def _group_headroom(group: Path) -> int | None:
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        statistics = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return None
    reclaimable = int(dict(line.split() for line in statistics).get("inactive_file", 0))
    return None if limit == "max" else int(limit) - used + reclaimable


def disk_check(workdir: Path) -> Check:
    """Room and leave to write at `workdir`, which need not exist yet."""
    wanted = workdir.absolute()
    folder = next(path for path in (wanted, *wanted.parents) if path.exists())
    if not os.access(folder, os.W_OK):
        advice = "Give --workdir a folder that you may write to."
        return Check("disk", "fail", f"no leave to write in {folder}", advice)
    return disk_space_check(shutil.disk_usage(folder).free, folder)


def disk_space_check(free: int, folder: Path) -> Check:
    """`free` is in bytes."""
    advice = "Free some space, or give --workdir a folder on another disk."
    return _room("disk", free, _DISK_GB, f"free at {folder}", advice)


def _room(name: str, size: int, limits: tuple[int, int], where: str, advice: str) -> Check:
    least, enough = limits
    found = f"{size / _GB:.1f} GB {where}"
    if size >= enough * _GB:
        return Check(name, "ok", found)
    state: State = "fail" if size < least * _GB else "warn"
    return Check(name, state, f"{found}, a run wants {enough} GB", advice)


def installed_check(name: str) -> Check:
    """The installed version of `name` against what the project, or else TFX, asks for."""
    try:
        return version_check(name, metadata.version(name), *required(name))
    except metadata.PackageNotFoundError as missing:
        return Check(name, "fail", f"{missing.name} is not installed", _REINSTALL)


def version_check(name: str, installed: str, wanted: str, reason: str = "") -> Check:
    """`wanted` is a specifier such as ">=2.21,<2.22"; `reason` is why it differs from TFX's."""
    found = f"{installed}, wants {wanted}" + (f" ({reason})" if reason else "")
    if Requirement(f"{name}{wanted}").specifier.contains(installed, prereleases=True):
        return Check(name, "ok", found)
    return Check(name, "fail", found, _REINSTALL)


def required(name: str) -> tuple[str, str]:
    """The specifier for `name` and its reason: OVERRIDDEN's, else the project's, else TFX's."""
    if name in OVERRIDDEN:
        return OVERRIDDEN[name]
    for owner in ("mnist-tfx", "tfx"):
        for requirement in map(Requirement, metadata.requires(owner) or ()):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(requirement.name) == name:
                return str(requirement.specifier), ""
    raise LookupError(f"neither mnist-tfx nor tfx asks for {name}")


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
    done = _run([sys.executable, "-c", _TENSORFLOW_PROBE], _TENSORFLOW_SECONDS)
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    code = done.returncode
    ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise RuntimeError(f"TensorFlow does not start ({ending}): {_last_words(done)}")


def keras_check(answer: str = "", error: str = "") -> Check:
    """`answer` is the version of tf.keras: a container's environment may ask for Keras 2."""
    if error:
        return Check("tf.keras", "fail", error, _REINSTALL)
    if answer.startswith("3."):
        return Check("tf.keras", "ok", f"Keras {answer}")
    advice = "KerasTuner and the models need Keras 3: `unset TF_USE_LEGACY_KERAS`, or set it to 0."
    return Check("tf.keras", "fail", f"Keras {answer}", advice)


def tensorboard_check(answer: str = "", error: str = "") -> Check:
    """TensorFlow no longer installs it, and Keras' callback dies without it."""
    if error:
        return Check("TensorBoard", "fail", error, _REINSTALL)
    return Check("TensorBoard", "ok", answer)


def gpu_check(answer: Iterable[tuple[str, Iterable[int] | None]] = (), error: str = "") -> Check:
    """`answer` is name and compute capability of each GPU that TensorFlow sees."""
    gpus = [f"{name}, compute capability {'.'.join(map(str, cc or '?'))}" for name, cc in answer]
    if gpus:
        return Check("GPU", "ok", "; ".join(gpus))
    advice = "To use one from NVIDIA: install its driver, then run `make setup EXTRA=gpu`."
    return Check("GPU", "warn", error or "TensorFlow sees none, the CPU trains", advice)


def model_server_check() -> Check:
    """TF Serving's own binary, which neither a package index nor Debian carries."""
    path = shutil.which("tensorflow_model_server")
    if path:
        return Check("model server", "ok", path)
    advice = (
        "Only TF Serving outside a container needs it: copy it from the image tensorflow/serving."
    )
    return Check("model server", "warn", "tensorflow_model_server is not on PATH", advice)


def engine_check() -> Check:
    """A client of Docker or Podman is of use only with an engine that answers it."""
    faults = []
    for client in filter(shutil.which, ("docker", "podman")):
        fault = _engine_fault(client)
        if not fault:
            return Check("container engine", "ok", client)
        faults.append(f"{client} is on PATH, its engine does not answer: {fault}")
    advice = "Only images and containers need it: install Docker or Podman, and start its service."
    found = "; ".join(faults) or "neither docker nor podman is on PATH"
    return Check("container engine", "warn", found, advice)


def _engine_fault(client: str) -> str:
    try:
        done = _run([client, "info"], _ENGINE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"nothing within {_ENGINE_SECONDS:.0f} s"
    return "" if done.returncode == 0 else _last_words(done)


def kubectl_check() -> Check:
    """Only a cluster needs it: the compiled graph also runs without one."""
    path = shutil.which("kubectl")
    if path:
        return Check("kubectl", "ok", path)
    return Check("kubectl", "warn", "not on PATH", "Only a cluster needs it: install kubectl.")


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
