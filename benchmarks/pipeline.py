"""Seconds of every node of a run and of its cached repetition, overhead, memory and `--help`.

Overhead is the total minus the time inside trainings and trials. Usage:

    python benchmarks/pipeline.py [--workdir DIR] [-- RUN OPTIONS]

The workdir must be new or empty; by default a temporary one is used.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

PROGRAM = (sys.executable, "-m", "pipeline")
HELPS = 5


def main() -> None:
    """Runs twice and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir")
    parser.add_argument("options", nargs="*", help="of `mnist-tfx run`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workdir = pathlib.Path(arguments.workdir or temporary)
        first, memory = _run(workdir, arguments.options)
        again, _ = _run(workdir, arguments.options)
    inside = sum(_seconds_inside(model) for model in first["models"])
    print("| node | seconds | cached |\n|---|---|---|")
    for node, seconds in first["node_seconds"].items():
        print(f"| {node} | {seconds:.1f} | {again['node_seconds'][node]:.1f} |")
    print(f"| whole run | {first['total_seconds']:.1f} | {again['total_seconds']:.1f} |")
    overhead = first["total_seconds"] - inside
    print(f"\ninside trainings and trials {inside:.1f} s, overhead {overhead:.1f} s")
    print(f"peak memory {memory / 2**30:.2f} GiB; --help {_help_seconds():.2f} s")


def _run(workdir: pathlib.Path, options: list[str]) -> tuple[dict, int]:
    """Returns the comparison of a run and the most memory that it had resident, in bytes."""
    import psutil

    process = subprocess.Popen([*PROGRAM, "run", "--workdir", str(workdir), *options])
    most, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            most = max(most, sum(p.memory_info().rss for p in family))
        except psutil.Error:
            pass
        time.sleep(0.2)
    if process.returncode not in (0, 3):
        sys.exit(f"the run ended with {process.returncode}")
    return json.loads((workdir / "report" / "comparison.json").read_text()), most


def _seconds_inside(model: dict) -> float:
    trials = sum(trial.get("seconds", 0.0) for trial in model["trials"])
    return model["train_seconds"] + model["eval_seconds"] + trials


def _help_seconds() -> float:
    times = []
    for _ in range(HELPS):
        begun = time.perf_counter()
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - begun)
    return sorted(times)[HELPS // 2]


if __name__ == "__main__":
    main()
