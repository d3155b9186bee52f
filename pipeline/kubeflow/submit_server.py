"""Kubeflow Pipelines' REST API (v2beta1), as far as `submit` needs it.

Through `kfp_server_api`, the client that KFP generates from its API and that `kfp.Client` wraps.
The wrapper is not used: it prints, reads `~/.config/kfp`, waits for ever for a run that is
canceled, and takes a page to log in for an empty answer.
"""

import json
import logging
import pathlib
import tempfile
import urllib.parse
from collections.abc import Callable
from typing import Any

import kfp_server_api
import urllib3

from pipeline.kubeflow.submit_faults import Faults, ServerError, Token

TRIES = 3
SECONDS_TO_CONNECT = 5.0
SECONDS_TO_ANSWER = 60.0


class Server:
    """A server of Kubeflow Pipelines; every method raises `ServerError`."""

    def __init__(self, host: str, token: Token | None, ca_cert: pathlib.Path | None) -> None:
        """Connects to nothing yet.

        Args:
          host: URL, without a slash at its end.
          token: None where the server asks for none.
          ca_cert: file of the CA that the server's certificate is from, if no public one.
        """
        self.host, self._faults = host, Faults(host, token)
        configuration = kfp_server_api.Configuration(host=host)
        # After that call, which sets this level: retries are no news for the user.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        if token:
            configuration.api_key["authorization"] = token.value
            configuration.api_key_prefix["authorization"] = "Bearer"
        configuration.ssl_ca_cert = str(ca_cert) if ca_cert else None
        configuration.retries = urllib3.Retry(
            total=TRIES - 1,
            redirect=0,  # leads to a page to log in, which is no answer
            backoff_factor=0.5,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods=("GET",),  # others only where there was no connection
            raise_on_redirect=False,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._client = kfp_server_api.ApiClient(configuration)
        self._pipelines = kfp_server_api.PipelineServiceApi(self._client)
        self._uploads = kfp_server_api.PipelineUploadServiceApi(self._client)
        self._experiments = kfp_server_api.ExperimentServiceApi(self._client)
        self._runs = kfp_server_api.RunServiceApi(self._client)

    def has_users(self) -> bool:
        """Returns whether it is one with namespaces of users."""
        health = kfp_server_api.HealthzServiceApi(self._client)
        return bool(self._ask("API v2beta1", health.healthz_service_get_healthz).multi_user)

    def find_pipeline(self, name: str, namespace: str | None) -> str | None:
        """Returns the ID of the pipeline of that name, if there is one."""
        call = self._pipelines.pipeline_service_list_pipelines
        found = self._ask("pipelines", call, namespace=namespace, filter=_named(name))
        return next((p.pipeline_id for p in found.pipelines or ()), None)

    def create_pipeline(self, name: str, description: str, namespace: str | None) -> str:
        """Returns the ID of a new pipeline, which has no version yet."""
        body = kfp_server_api.V2beta1Pipeline(
            display_name=name, description=description, namespace=namespace
        )
        call = self._pipelines.pipeline_service_create_pipeline
        return self._ask("pipelines", call, body).pipeline_id

    def find_version(self, pipeline: str, name: str) -> str | None:
        """Returns the ID of a pipeline's version of that name, if there is one."""
        call = self._pipelines.pipeline_service_list_pipeline_versions
        found = self._ask("versions of the pipeline", call, pipeline, filter=_named(name))
        return next((v.pipeline_version_id for v in found.pipeline_versions or ()), None)

    def upload_version(self, pipeline: str, name: str, description: str, text: str) -> str:
        """Returns the ID of a new version of a pipeline.

        Args:
          text: both YAML documents.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / f"{name}.yaml"
            file.write_text(text, encoding="utf-8")
            call = self._uploads.upload_pipeline_version
            uploaded = self._ask(
                "uploads", call, str(file), name=name, pipelineid=pipeline, description=description
            )
        return uploaded.pipeline_version_id

    def find_experiment(self, name: str, namespace: str | None) -> str | None:
        """Returns the ID of the experiment of that name, if there is one."""
        call = self._experiments.experiment_service_list_experiments
        found = self._ask("experiments", call, namespace=namespace, filter=_named(name))
        for experiment in found.experiments or ():
            if experiment.storage_state == kfp_server_api.V2beta1ExperimentStorageState.ARCHIVED:
                words = f"the experiment {name} is archived: restore it, or name another"
                raise ServerError(f"{words} with --experiment")
            return experiment.experiment_id
        return None

    def create_experiment(self, name: str, namespace: str | None) -> str:
        """Returns the ID of a new experiment."""
        body = kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)
        call = self._experiments.experiment_service_create_experiment
        return self._ask("experiments", call, body).experiment_id

    def create_run(self, body: dict[str, Any]) -> str:
        """Starts a run and returns its ID.

        Args:
          body: a `V2beta1Run` as JSON.
        """
        try:
            return self._ask("runs", self._runs.run_service_create_run, body).run_id
        except ServerError as error:
            if not error.passing:
                raise
            words = f"{error}; a run may have been started nevertheless: {self.host}/#/runs"
            raise ServerError(words) from error

    def run(self, run: str) -> kfp_server_api.V2beta1Run:
        """Returns what a run does now."""
        return self._ask(f"run {run}", self._runs.run_service_get_run, run)

    def address(self, run: str) -> str:
        """Returns where to look at a run with a browser."""
        return f"{self.host}/#/runs/details/{run}"

    def _ask(self, what: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls the API.

        Args:
          what: is asked for, in words.
        """
        limits = (SECONDS_TO_CONNECT, SECONDS_TO_ANSWER)
        try:
            answer = call(*arguments, **named, _request_timeout=limits)
            if not isinstance(json.loads(self._client.last_response.data), dict):
                raise ValueError
        except kfp_server_api.ApiException as error:
            raise self._faults.refused(what, error) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._faults.unreachable(error) from None
        except (ValueError, LookupError):  # no JSON: the generated client takes it for an empty one
            raise self._faults.no_api() from None
        return answer


def _named(name: str) -> str:
    """Returns the filter for a name; the API wants it URL-encoded, and then so in the query."""
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    return urllib.parse.quote(json.dumps({"predicates": [predicate]}))
