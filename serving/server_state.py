"""What a running model server tells about the versions of a model."""

import dataclasses

import httpx

SECONDS = 2.0
AVAILABLE = "AVAILABLE"


@dataclasses.dataclass(frozen=True)
class VersionState:
    """A state by the name that TF Serving gives it, and the error that led to it, or nothing."""

    state: str
    error: str


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that is asked: its address, and its bearer token where it wants one."""

    url: str
    token: str = ""


def version_states(server: Server, model: str) -> dict[int, VersionState] | None:
    """Returns the state of each version that a server knows, None where none answers.

    A server that answers, but does not know the model or wants another token, counts as none.
    """
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    try:
        answer = httpx.get(
            f"{server.url}/v1/models/{model}", headers=headers, timeout=SECONDS, trust_env=False
        )
        entries = answer.raise_for_status().json()["model_version_status"]
        return {
            int(entry["version"]): VersionState(entry["state"], entry["status"]["error_message"])
            for entry in entries
        }
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None
