"""Programs that only serving and clusters need: server, engine, kubectl; no Python package."""

import shutil
import subprocess
from typing import Final

from pipeline.doctor.check import Check, guarded, last_words, run_command

_ENGINE_SECONDS: Final = 3.0


def tool_checks() -> list[Check]:
    """None of them is needed to train, so none fails."""
    return [
        guarded("model server", model_server_check, worst="warn"),
        guarded("container engine", engine_check, worst="warn"),
        guarded("kubectl", kubectl_check, worst="warn"),
    ]


def model_server_check() -> Check:
    """TF Serving's own binary, which neither a package index nor Debian carries."""
    path = shutil.which("tensorflow_model_server")
    if path:
        return Check("model server", "ok", path)
    advice = (
        "Only TF Serving outside a container needs it: copy it from the image tensorflow/serving."
    )
    return Check("model server", "warn", "tensorflow_model_server is not on PATH", advice)


def engine_check() -> Check:
    """A client of Docker or Podman is of use only with an engine that answers it."""
    faults = []
    for client in filter(shutil.which, ("docker", "podman")):
        fault = _engine_fault(client)
        if not fault:
            return Check("container engine", "ok", client)
        faults.append(f"{client} is on PATH, its engine does not answer: {fault}")
    advice = "Only images and containers need it: install Docker or Podman, and start its service."
    found = "; ".join(faults) or "neither docker nor podman is on PATH"
    return Check("container engine", "warn", found, advice)


def _engine_fault(client: str) -> str:
    try:
        done = run_command([client, "info"], _ENGINE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"nothing within {_ENGINE_SECONDS:.0f} s"
    return "" if done.returncode == 0 else last_words(done)


def kubectl_check() -> Check:
    """Only a cluster needs it: the compiled graph also runs without one."""
    path = shutil.which("kubectl")
    if path:
        return Check("kubectl", "ok", path)
    return Check("kubectl", "warn", "not on PATH", "Only a cluster needs it: install kubectl.")
