"""Chooses the precision of a training by what the hardware says and a timed probe confirms.

bfloat16 on a CPU without AMX or AVX512-BF16 can be sixty times slower than float32, and a flag that
a hypervisor passes on is no proof of speed: so both must agree.
"""

import pathlib
import time

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
    """Returns bfloat16 where the CPU has it and the probe was faster, else float32."""
    words = set(cpuinfo.split())
    faster = bfloat16_seconds < float32_seconds
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
    return policy_of_cpu(cpuinfo, _seconds(tf.bfloat16), _seconds(tf.float32))


def _seconds(dtype: tf.DType) -> float:
    """Returns the best time of a square matrix product in the given type."""
    ones = tf.ones((PROBE_SIDE, PROBE_SIDE), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(ones, ones)))
    product().numpy()
    times = []
    for _ in range(PROBE_REPEATS):
        start = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - start)
    return min(times)
