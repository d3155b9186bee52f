"""`python -m components.tuning.probe JSON`: finds which batch sizes fit into a GPU's memory.

It is a process of its own: TensorFlow never gives back what it once took of a GPU, and the trials
of a parallel search run in other processes, on one GPU each.
"""

import json
import os
import subprocess
import sys
import threading
from typing import Any, TextIO

from components.training.child import end_with_the_parent, log_to_standard_error, standard_output

GPUS = "CUDA_VISIBLE_DEVICES"


class NothingFits(RuntimeError):
    """Not even the smallest batch fits, or it could not be found out."""


def sizes_that_fit(told: dict[str, Any], one_gpu: bool) -> list[int]:
    """Returns the batch sizes of a search up to the largest that fits.

    Args:
      told: the fields of TFX's `FnArgs` that the entry point of the Tuner reads.
      one_gpu: whether a trial has one of the GPUs, as trials side by side have.

    Raises:
      NothingFits: see there.
    """
    one = {GPUS: first_gpu(os.environ.get(GPUS))} if one_gpu else {}
    with subprocess.Popen(
        # With -P the current folder is not searched for modules, as it is not here.
        [sys.executable, "-P", "-m", "components.tuning.probe", json.dumps(told)],
        stdin=subprocess.PIPE,  # never written to; the child ends when it is closed
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **one},
    ) as process:
        assert process.stdout
        answer = process.stdout.read()
        code = process.wait()
    if code:
        raise NothingFits(
            f"expected to find the batch sizes that fit; the process that tries them ended with "
            f"{code}: its own words are in the log"
        )
    found = json.loads(answer)
    if "fault" in found:
        raise NothingFits(found["fault"])
    return list(found["sizes"])


def first_gpu(visible: str | None) -> str:
    """Returns the first of the GPUs that CUDA_VISIBLE_DEVICES names, or of all."""
    return (visible or "0").split(",")[0]


def main() -> None:
    """Tries; ends at once where the process that started it is gone."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    answer(json.loads(sys.argv[1]), standard_output())


def answer(told: dict[str, Any], to: TextIO) -> None:
    """Writes `sizes`, or the `fault` where none fits, as JSON."""
    config = told["custom_config"]

    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.settings import TuneSettings
    from components.training.fit import OutOfMemory
    from components.tuning.memory import fitting, one_step_of
    from components.tuning.run import filled, job_of

    log_to_standard_error("probe")
    fn_args = FnArgs(**told)
    settings = TuneSettings.from_config(config)
    job = job_of(settings, fn_args)
    try:
        sizes = fitting(filled(settings, len(job.train.labels)), one_step_of(job))
        print(json.dumps({"sizes": sizes}), file=to, flush=True)
    except OutOfMemory as error:
        print(json.dumps({"fault": str(error)}), file=to, flush=True)


if __name__ == "__main__":
    main()
