"""Python, platform, CPU, memory and disk; not the GPUs, which devices.py has TensorFlow name."""

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

import psutil

from pipeline.doctor.check import Check, State, guarded

_GB: Final = 10**9
_DISK_GB: Final = (2, 5)  # fail below the first, warn below the second
_MEMORY_GB: Final = (3, 6)

# The best first. Without hardware for it bfloat16 is emulated, many times slower than float32.
_PRECISION: Final = (
    ("amx_bf16", "bfloat16 in matrix tiles trains fastest"),
    ("avx512_bf16", "bfloat16 in vector instructions often beats float32"),
    ("avx512f", "float32; bfloat16 would be emulated and slow"),
    ("avx2", "float32; bfloat16 would be emulated and slow"),
)


def machine_checks(workdir: Path) -> list[Check]:
    """Python and the hardware under a run in `workdir`."""
    return [
        guarded("Python", lambda: python_check(sys.version_info[:3])),
        guarded("platform", this_platform_check),
        guarded("CPU", lambda: cpu_check(Path("/proc/cpuinfo").read_text())),
        guarded("memory", lambda: memory_check(available_memory())),
        guarded("disk", lambda: disk_check(workdir)),
    ]


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
