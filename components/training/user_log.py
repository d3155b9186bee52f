"""The logger of what a training tells its user, to which a screen listens; nothing heavy here."""

import logging

LOGGER = logging.getLogger("mnist_tfx.progress")
