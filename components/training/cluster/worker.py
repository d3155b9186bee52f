"""A worker: takes part in one training after the other, each in a process of its own."""

import logging
import socket
import time

from components.training.cluster.config import WORKER, BadCluster, Cluster
from components.training.cluster.process import take_part
from components.training.stopping import Stop

LOGGER = logging.getLogger(__name__)
SECONDS_BETWEEN_TRIES = 2.0


def work(cluster: Cluster, stop: Stop, once: bool = False) -> int:
    """Follows the chief until a stop is asked for; returns the last training's exit code.

    Args:
      once: ends after one training.

    Raises:
      BadCluster: the port of this machine is not free.
    """
    check_port(cluster)
    while True:
        LOGGER.info("waiting for a training of the chief at %s", cluster.addresses[0])
        # It has nothing to save, and TensorFlow would keep SIGTERM to itself.
        code, words = take_part(WORKER, cluster, {}, stop, seconds=0.0)
        if stop.asked:
            return 0
        if code:
            LOGGER.error("%s", words)
        else:
            LOGGER.info("the training is done")
        if once:
            return code
        time.sleep(SECONDS_BETWEEN_TRIES if code else 0.0)


def check_port(cluster: Cluster) -> None:
    """Checks that the port of this machine's address is free.

    Raises:
      BadCluster: it is not.
    """
    address = cluster.addresses[cluster.place]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(address.rpartition(":")[2])))
        except OSError as error:
            raise BadCluster(
                f"expected the port of {address} to be free; it is not ({error.strerror}): end "
                "what uses it, or name another in TF_CONFIG on all machines"
            ) from error
