"""Chooses the precision of a training by what the hardware says and a timed probe confirms.

bfloat16 on a CPU without AMX or AVX512-BF16 can be sixty times slower than float32, and a flag that
a hypervisor passes on is no proof of speed: so both must agree.
"""

import pathlib
import time
from collections.abc import Callable

import tensorflow as tf

AUTO = "auto"
FLOAT32 = "float32"
BFLOAT16 = "mixed_bfloat16"
FLOAT16 = "mixed_float16"
POLICIES = (FLOAT32, BFLOAT16, FLOAT16)
CPUINFO = pathlib.Path("/proc/cpuinfo")
AMX = "amx_bf16"
BFLOAT16_FLAGS = frozenset({AMX, "avx512_bf16"})
PROBE_SIDE = 1024
PROBE_REPEATS = 10  # the fastest counts: other work on the machine only slows
LEAST_GAIN = 1.2  # of bfloat16 in the probe, to be taken: noise alone is no reason


def resolve(precision: str) -> str:
    """Returns the Keras dtype policy to train with.

    Args:
      precision: `auto`, or a policy by name, which is returned as it is.

    Raises:
      ValueError: the name is unknown.
    """
    if precision == AUTO:
        return _automatic()
    if precision not in POLICIES:
        raise ValueError(
            f"expected a precision of {', '.join((AUTO, *POLICIES))}; got {precision!r}"
        )
    return precision


def uses_matrix_unit(policy: str, gpus: bool, cpuinfo: str) -> bool:
    """Returns whether a training multiplies in hardware made for matrices: a GPU, or AMX.

    Args:
      policy: as `resolve` returns it.
      gpus: whether there are any.
      cpuinfo: the text of /proc/cpuinfo.
    """
    return gpus or (policy == BFLOAT16 and AMX in cpuinfo.split())


def policy_of_gpu(capability: tuple[int, int] | None) -> str:
    """Returns the policy for a GPU's compute capability: bfloat16 from 8.0, float16 from 7.0."""
    if capability is None or capability < (7, 0):
        return FLOAT32
    return BFLOAT16 if capability >= (8, 0) else FLOAT16


def policy_of_cpu(cpuinfo: str, bfloat16_seconds: float, float32_seconds: float) -> str:
    """Returns bfloat16 where the CPU has it and the probe was clearly faster, else float32."""
    words = set(cpuinfo.split())
    faster = bfloat16_seconds * LEAST_GAIN < float32_seconds
    return BFLOAT16 if words & BFLOAT16_FLAGS and faster else FLOAT32


def read_cpuinfo() -> str:
    """Returns what Linux says of the CPU, or nothing where it does not."""
    return CPUINFO.read_text() if CPUINFO.exists() else ""


def _automatic() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return policy_of_gpu(details.get("compute_capability"))
    cpuinfo = read_cpuinfo()
    if not set(cpuinfo.split()) & BFLOAT16_FLAGS:
        return FLOAT32
    return policy_of_cpu(cpuinfo, *_seconds(tf.bfloat16, tf.float32))


def _seconds(*dtypes: tf.DType) -> list[float]:
    """Returns the best time of a square matrix product in each type.

    They take turns, so that other work on the machine meets all of them.
    """
    products = [_product(dtype) for dtype in dtypes]
    rounds = [[_timed(product) for product in products] for _ in range(PROBE_REPEATS + 1)]
    return [min(times) for times in zip(*rounds[1:], strict=True)]  # the first one builds


def _product(dtype: tf.DType) -> Callable[[], tf.Tensor]:
    ones = tf.ones((PROBE_SIDE, PROBE_SIDE), dtype)
    made: Callable[[], tf.Tensor] = tf.function(lambda: tf.reduce_sum(tf.matmul(ones, ones)))
    return made


def _timed(product: Callable[[], tf.Tensor]) -> float:
    start = time.perf_counter()
    product().numpy()
    return time.perf_counter() - start
