"""Seconds of each task of the compiled pipeline against the same node of a local run.

Both run in new workdirs, one after the other; what a task takes longer is the start of its process,
imports and the copies from and to the bucket. Usage:

    python benchmarks/kubeflow.py [--profile smoke] [--models a,b]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = (sys.executable, "-m", "pipeline")


def main() -> None:
    """Runs both and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--models", default="sequential,alexnet,vgg16")
    arguments = parser.parse_args()
    options = ("--profile", arguments.profile, "--models", arguments.models)
    with tempfile.TemporaryDirectory() as temporary:
        here, there = (pathlib.Path(temporary) / name for name in ("local", "kubeflow"))
        local = _seconds(here, "run", *options)
        compiled = _seconds(there, "kubeflow", "run-local", *options)
        size = (there / "pipeline.yaml").stat().st_size
    print("| task | local run | compiled | more |\n|---|---|---|---|")
    for task, seconds in compiled.items():
        before = local[task.replace("-", ".", 1)]
        print(f"| {task} | {before:.1f} | {seconds:.1f} | {seconds - before:.1f} |")
    totals = sum(local.values()), sum(compiled.values())
    print(f"| all | {totals[0]:.1f} | {totals[1]:.1f} | {totals[1] - totals[0]:.1f} |")
    print(f"\nthe compiled pipeline has {size:,} bytes and {len(compiled)} tasks")


def _seconds(workdir: pathlib.Path, *command: str) -> dict[str, float]:
    done = subprocess.run(
        [*PROGRAM, *command, "--workdir", str(workdir)], capture_output=True, text=True
    )
    if done.returncode not in (0, 3):
        raise SystemExit(done.stdout + done.stderr)
    report = json.loads((workdir / "report" / "comparison.json").read_text())
    seconds: dict[str, float] = report["node_seconds"]
    return seconds


if __name__ == "__main__":
    main()
