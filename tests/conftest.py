"""The environment of every test, set before TensorFlow can be imported."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
