"""The image's entry point: what Kubeflow starts for every task of the pipeline."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOUNTS = "MNIST_TFX_MOUNTS"  # set by `run-local` alone: where it plays the launcher's folders

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not this folder, which would hide Kubeflow's own packages
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from pipeline.kubeflow.entry import main

    sys.exit(main(sys.argv[1:], os.environ.get(MOUNTS, "/")))
