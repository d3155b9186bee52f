"""`python -m components.training.cluster.member ROLE JSON`: one process of a training.

TensorFlow must be told of the other machines before it does anything else, so that chief and
workers train in a process of their own. Standard output carries progress, one JSON object a line.
"""

import contextlib
import json
import logging
import os
import pathlib
import re
import sys
import tempfile
import threading
import traceback
from typing import Any, TextIO

from components.training.child import (
    Reports,
    end_with_the_parent,
    log_to_standard_error,
    standard_output,
)
from components.training.cluster.config import CHIEF, Cluster, cluster_of

DONE, FAULT, STOPPED = 0, 1, 75  # 75: EX_TEMPFAIL of sysexits.h


def main() -> None:
    """Takes part in a training; leaves the reason of a fault in the file that was named."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    role, told = sys.argv[1], json.loads(sys.argv[2])
    log_to_standard_error(role, logging.INFO if role == CHIEF else logging.WARNING)
    code = take_part(role, told, standard_output())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TensorFlow would first wait for the other machines


def take_part(role: str, told: dict[str, Any], reports: TextIO) -> int:
    """Returns the exit code.

    Args:
      told: `fault`, the file for the reason, and for the chief `fn_args`, see `components.training.
        run.train`.
    """
    import tensorflow as tf

    from components.training.stopping import TrainingStopped

    cluster = cluster_of(os.environ)
    try:
        lead(told["fn_args"], reports) if role == CHIEF else follow()
    except Exception as error:
        traceback.print_exc()
        words, code = str(error), STOPPED if isinstance(error, TrainingStopped) else FAULT
        if isinstance(error, tf.errors.OpError) and is_of_the_cluster(error):
            words = why_it_broke(cluster, error.message)
        pathlib.Path(told["fault"]).write_text(words)
        return code
    return DONE


def lead(fn_args: dict[str, Any], reports: TextIO) -> None:
    """Trains as the chief, and writes what a Trainer writes."""
    import tensorflow as tf
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.training import devices
    from components.training.cluster.channel import Channel
    from components.training.run import train
    from components.training.user_log import LOGGER

    LOGGER.addHandler(Reports(reports))
    devices.let_memory_grow()
    channel = Channel(tf.distribute.MultiWorkerMirroredStrategy(), is_chief=True)
    train(FnArgs(**fn_args), channel)
    with contextlib.suppress(tf.errors.OpError):  # all is written: a worker may be gone by now
        channel.end()


def follow() -> None:
    """Takes a worker's part in one training.

    Raises:
      ValueError: the chief has other code.
    """
    import tensorflow as tf

    from components.training import devices
    from components.training.cluster.channel import Channel
    from components.training.cluster.parcel import check_code, unpack
    from components.training.fit import follow as follow_the_steps

    devices.let_memory_grow()
    channel = Channel(tf.distribute.MultiWorkerMirroredStrategy(), is_chief=False)
    check_code(channel, "")
    with tempfile.TemporaryDirectory() as folder:
        follow_the_steps(unpack(channel.receive(), pathlib.Path(folder)), channel)
    with contextlib.suppress(tf.errors.OpError):  # the chief may be gone by now
        channel.end()


def is_of_the_cluster(error: Any) -> bool:
    """Whether an error of TensorFlow's says that another machine is gone or does not answer."""
    import tensorflow as tf

    kinds = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    )
    return isinstance(error, kinds) or "ollective ops is aborted" in error.message


def why_it_broke(cluster: Cluster, message: str) -> str:
    """Returns in one sentence which machine is gone, as far as TensorFlow's words say it."""
    named = {
        cluster.addresses[place]
        for kind, task in re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", message)
        if (place := cluster.place_of(kind, int(task))) != cluster.place
    }
    gone = ", ".join(sorted(named)) or "one"
    if cluster.is_chief:
        return (
            f"expected all {len(cluster.addresses)} machines to train to the end; {gone} is gone "
            "or does not answer: see to it that `mnist-tfx worker` runs there, then the same "
            "command here goes on from the last checkpoint"
        )
    return (
        f"expected the training to go on; {gone} is gone or does not answer: this worker has "
        "nothing to keep, and the chief goes on from its last checkpoint"
    )


if __name__ == "__main__":
    main()
