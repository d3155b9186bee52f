"""Checks of machine and installation for `mnist-tfx doctor`; the command line draws the table."""

from pathlib import Path

from pipeline.doctor.check import Check
from pipeline.doctor.devices import tensorflow_checks
from pipeline.doctor.machine import machine_checks
from pipeline.doctor.software import software_checks
from pipeline.doctor.tools import tool_checks

__all__ = ["Check", "run_checks"]


def run_checks(workdir: Path) -> list[Check]:
    """Looks at all that a run in `workdir` needs; as slow as TensorFlow's import; never raises."""
    return [*machine_checks(workdir), *software_checks(), *tensorflow_checks(), *tool_checks()]
