"""The launcher's ExecutorInput and ExecutorOutput, between the bucket's URIs and local paths.

Works on the JSON itself, so that a task that has nothing to do imports nothing heavy. Sources:
`LocalPathForURI`, `ToRuntimeArtifact` and `mergeRuntimeArtifacts` of KFP's backend.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

from pipeline.kubeflow.layout import LOCAL_ROOTS

Json = dict[str, Any]


class UnknownScheme(ValueError):
    """An artifact lies where Kubeflow's launcher has no local copy of it."""


def local_path(uri: str, mounts: str) -> str:
    """Returns where the launcher has the local copy of an artifact; a path stays as it is.

    Args:
      mounts: the folder that holds the launcher's folders, `/` in a cluster.

    Raises:
      UnknownScheme: the launcher knows no such place.
    """
    for scheme, folder in LOCAL_ROOTS.items():
        if uri.startswith(scheme):
            return str(pathlib.Path(mounts) / folder / uri.removeprefix(scheme))
    if "://" in uri:
        raise UnknownScheme(
            f"expected an artifact below {', '.join(LOCAL_ROOTS)}; got {uri}: take a pipeline root "
            "of one of these"
        )
    return uri


def artifacts(part: Json) -> Iterator[tuple[str, Json]]:
    """Yields input or output key and artifact."""
    for key, found in part.get("artifacts", {}).items():
        yield from ((key, artifact) for artifact in found.get("artifacts", []))


def localize(executor_input: Json, inputs_spec: Json, mounts: str) -> dict[str, str]:
    """Makes all artifacts local ones that exist, and gives inputs the type that the backend omits.

    The backend sends an input with an empty schema, which TFX cannot read; the spec of the
    component's inputs has it. An input that was never uploaded, because it is empty, and outputs,
    of which only the parent exists, become empty folders.

    Args:
      inputs_spec: the component's `inputDefinitions`.

    Returns:
      The URIs of the outputs by local path.
    """
    types = inputs_spec.get("artifacts", {})
    for key, artifact in artifacts(executor_input.get("inputs", {})):
        artifact["type"] = types[key]["artifactType"]
        artifact["uri"] = _folder(local_path(artifact["uri"], mounts))
    uris = {}
    for _, artifact in artifacts(executor_input.get("outputs", {})):
        local = _folder(local_path(artifact["uri"], mounts))
        uris[local] = artifact["uri"]
        artifact["uri"] = local
    return uris


def restore(executor_output: Json, uris: dict[str, str]) -> None:
    """Puts the bucket's URIs back into what an executor wrote.

    Values of null, which the backend cannot record, are left out.
    """
    for _, artifact in artifacts(executor_output):
        artifact["uri"] = uris[artifact["uri"]]
        kept = artifact.get("metadata", {}).items()
        artifact["metadata"] = {k: v for k, v in kept if v is not None}


def marked_outputs(executor_input: Json, mark: str) -> Json:
    """Returns an ExecutorOutput in which every output is empty and bears a mark."""
    return {
        "artifacts": {
            key: {"artifacts": [{"uri": artifact["uri"], "metadata": {mark: 1}}]}
            for key, artifact in artifacts(executor_input.get("outputs", {}))
        }
    }


def _folder(path: str) -> str:
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
    return path
