"""`python -m components.tuning.worker JSON`: trains the trials that a chief gives out, then ends.

The environment says which worker it is and where the chief is, by KerasTuner's own variables;
`components.tuning.processes` sets them. Standard output carries progress, one JSON object a line.
"""

import json
import os
import sys
import threading
from typing import Any, TextIO

from components.training.child import (
    Reports,
    end_with_the_parent,
    log_to_standard_error,
    standard_output,
)

MESSAGE = "message-bin"  # gRPC's ending for metadata that is not ASCII


def main() -> None:
    """Works until the search is done; ends at once where the process that started it is gone."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    work(json.loads(sys.argv[1]), standard_output())


def work(fn_args: dict[str, Any], reports: TextIO) -> None:
    """Trains trials until there are no more.

    Args:
      fn_args: the fields of TFX's `FnArgs` that the entry point of the Tuner reads.
    """
    # TensorFlow takes seconds to import: a chief that dies meanwhile must be noticed.
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.training.user_log import LOGGER
    from components.tuning.run import tuner_fn

    name = os.environ["KERASTUNER_TUNER_ID"]
    log_to_standard_error(name)
    LOGGER.addHandler(Reports(reports))
    tuner = tuner_fn(FnArgs(**fn_args)).tuner
    number_trials_as_the_chief(tuner)
    send_messages(tuner.oracle)
    tuner.search()


def number_trials_as_the_chief(tuner: Any) -> None:
    """Makes progress name a trial by its number in the whole search, not in this process."""

    def begin(trial: Any) -> None:
        tuner.hypermodel._started = int(trial.trial_id)

    tuner.on_trial_begin = begin


def send_messages(client: Any) -> None:
    """Makes KerasTuner's client say why a trial failed; its protocol has no field for it."""
    from keras_tuner.src.protos import get_service

    def end_trial(trial: Any) -> None:
        last = (trial.message or "").strip().rpartition("\n")[-1]
        client.stub.EndTrial(
            get_service().EndTrialRequest(trial=trial.to_proto()),
            metadata=[(MESSAGE, last.encode()[:4096])],  # gRPC takes 8 KiB in all
        )

    client.end_trial = end_trial


if __name__ == "__main__":
    main()
