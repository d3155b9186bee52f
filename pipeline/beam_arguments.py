"""Which Beam runner runs where the user names none, and with what; Beam is not imported."""

import argparse
from collections.abc import Sequence

from pipeline.wrong_call import WrongCall

DIRECT = "DirectRunner"
IN_MEMORY = (
    # What DirectRunner falls back to. That tries Prism first, a program that it downloads.
    "--runner=FnApiRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Never used by this runner. Without an image or a package of its own, TFX packs itself into a
    # source distribution for the workers at the start of every Beam node: seconds each.
    "--sdk_container_image=none",
)
FLINK, SPARK, PORTABLE = "FlinkRunner", "SparkRunner", "PortableRunner"
KNOWN = (  # Beam's names; it takes them in any case, and without "Runner" at the end
    *(DIRECT, "FnApiRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner", "PrismRunner"),
    *(FLINK, SPARK, PORTABLE, "DataflowRunner", "InteractiveRunner", "KafkaStreamsRunner"),
    *("TestDirectRunner", "TestDataflowRunner"),
)


def beam_arguments(given: Sequence[str]) -> tuple[str, ...]:
    """Returns the Beam arguments: the in-memory runner, then what the user gave.

    Raises:
      WrongCall: there is no such runner.
    """
    runner, others = _apart(given)
    return with_runner(given) if runner else (*IN_MEMORY, *others)


def with_runner(given: Sequence[str]) -> tuple[str, ...]:
    """Returns arguments with the runner's own name first, if they name one.

    Raises:
      WrongCall: there is no such runner.
    """
    runner, others = _apart(given)
    if runner == DIRECT:
        return (*IN_MEMORY, *others)
    return (f"--runner={runner}", *others) if runner else others


def _apart(given: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Returns the runner that arguments name last, as Beam spells it or "", and the others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--runner", default="")
    try:
        found, others = parser.parse_known_args([*given])
    except argparse.ArgumentError as error:
        raise WrongCall(f"expected Beam's arguments after --; {error}") from None
    name = found.runner.lower()
    spelt = {known.lower(): known for known in KNOWN}
    runner = spelt.get(name) or spelt.get(f"{name}runner") or found.runner
    if runner and runner not in KNOWN and "." not in runner:  # with a dot it is a class
        raise WrongCall(f"expected a --runner of {', '.join(KNOWN)}; got {found.runner!r}")
    return runner, tuple(others)
