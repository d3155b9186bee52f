"""What goes wrong with a server of Kubeflow Pipelines, in words that never have the token."""

import dataclasses
import json

import kfp_server_api
import urllib3

from pipeline.kubeflow.submit_command import TOKEN_VARIABLE

FORWARD = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80"
LOGS = "kubectl logs -n kubeflow deploy/ml-pipeline"
MOST_CHARACTERS = 400  # of a server's words


@dataclasses.dataclass(frozen=True)
class Token:
    """A bearer token and, in words, where it came from."""

    value: str = dataclasses.field(repr=False)
    source: str


class ServerError(RuntimeError):
    """The server did not do what it was asked."""

    def __init__(self, words: str, passing: bool = False) -> None:
        """Says what happened and what to do.

        Args:
          words: for the user.
          passing: whether it may do so in a while.
        """
        super().__init__(words)
        self.passing = passing


@dataclasses.dataclass(frozen=True)
class Faults:
    """Makes errors of what a server answers.

    Attributes:
      host: its URL.
      token: None where it was given none.
    """

    host: str
    token: Token | None

    def refused(self, what: str, error: kfp_server_api.ApiException) -> ServerError:
        """Returns the error for an answer that is no success.

        Args:
          what: was asked for, in words.
        """
        status, said = error.status, self._said(error.body)
        if status in (401, 403):
            return ServerError(f"{self.host} refused with HTTP {status}{said}; {self._on_token()}")
        if 300 <= status < 400:
            to = self._clean(str((error.headers or {}).get("Location", ""))).partition("?")[0]
            words = f"{self.host} sends to {to or 'another page'}, to log in perhaps"
            return ServerError(f"{words}; {self._on_token()}")
        if status == 404:
            return ServerError(
                f"{self.host} knows no {what} (HTTP 404{said}): is it the address of Kubeflow "
                "Pipelines 2.x, with its path where it has one?"
            )
        if status >= 500 or status == 429:
            words = f"{self.host} failed with HTTP {status}{said}"
            return ServerError(f"{words}; its log says more: {LOGS}", passing=True)
        return ServerError(f"{self.host} refused with HTTP {status}{said}")

    def unreachable(self, error: urllib3.exceptions.HTTPError) -> ServerError:
        """Returns the error for no answer at all."""
        reason = getattr(error, "reason", None) or error
        why = self._clean(str(reason))
        if isinstance(reason, urllib3.exceptions.SSLError):
            words = f"no TLS connection to {self.host}: {why}"
            return ServerError(f"{words}; --ssl-ca-cert takes the certificate of its CA")
        return ServerError(
            f"{self.host} does not answer ({why.rpartition(': ')[2]}); is --host right and the "
            f"server up? From outside of the cluster, is its port forwarded: {FORWARD}",
            passing=True,
        )

    def no_api(self) -> ServerError:
        """Returns the error for an answer that is not the API's, a page to log in perhaps."""
        words = f"{self.host} answered with something else than KFP's API, a page to log in perhaps"
        return ServerError(f"{words}; {self._on_token()}")

    def _on_token(self) -> str:
        if self.token is None:
            return f"there was no token: give one with --token-file or in {TOKEN_VARIABLE}"
        return (
            f"the token came from {self.token.source}: is it for this cluster, not expired, and "
            "may it use this namespace?"
        )

    def _said(self, body: str | None) -> str:
        """Returns what the server said, as a parenthesis or the like has it: `: words`."""
        try:
            answer = json.loads(body or "")
            words = answer.get("error_message") or answer.get("message") or answer.get("error")
        except (ValueError, AttributeError):
            words = None
        return f": {self._clean(str(words))}" if words else ""

    def _clean(self, words: str) -> str:
        """Returns a server's words in one line, without the token, which it may repeat."""
        line = " ".join(words.split())
        line = line.replace(self.token.value, "***") if self.token else line
        return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]} ..."
