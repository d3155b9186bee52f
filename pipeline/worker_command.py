"""The command `worker`: this machine takes part in the trainings of another one's run."""

import logging
import os
import sys

import click

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@click.command()
@click.option("--once", is_flag=True, help="End after one training, with its exit code.")
def worker(once: bool) -> None:
    """Take part in the trainings of `mnist-tfx run --devices multi-worker` on another machine.

    TF_CONFIG names the machines. The chief sends all else, so that no folder is shared. It goes on
    until it is stopped. Exits with 0 when it was, 1 when a training broke off (--once), 2 for a
    wrong TF_CONFIG.
    """
    from components.training.cluster.config import BadCluster, as_worker
    from components.training.cluster.worker import work
    from components.training.stopping import stoppable
    from pipeline.conclusion import WRONG_CALL

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr, force=True)
    try:
        with stoppable() as stop:
            code = work(as_worker(os.environ), stop, once)
            stop.asked = False  # it was obeyed
    except BadCluster as error:
        click.echo(str(error), err=True)
        sys.exit(WRONG_CALL)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)
