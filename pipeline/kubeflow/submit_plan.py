"""What `submit` will send, made from the user's options and the compiled file; nothing is sent."""

import dataclasses
import datetime
import importlib.metadata
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipeline.kubeflow import layout, parameters
from pipeline.kubeflow.submit_command import TOKEN_VARIABLE
from pipeline.kubeflow.submit_faults import Token
from pipeline.kubeflow.submit_file import Upload, read_upload
from pipeline.kubeflow.values import parse_assignments, values_of
from pipeline.wrong_call import WrongCall

READS_DATA = "MnistExampleGen"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class SubmitOptions:
    """What the user asked for; the names are those of the command line.

    Attributes:
      environment_token: what KF_PIPELINES_TOKEN holds.
      timeout: seconds to wait, with `wait`; None for any time.
      poll_seconds: between two looks at the run.
    """

    file: pathlib.Path
    host: str
    namespace: str | None = None
    experiment: str = layout.PROJECT
    run_name: str | None = None
    models: str | None = None
    data: str | None = None
    data_sha256: str | None = None
    images: str | None = None
    epochs: str | None = None
    trials: str | None = None
    push_destination: str | None = None
    parameter: tuple[str, ...] = ()
    no_cache: bool = False
    wait: bool = False
    timeout: float | None = None
    token_file: pathlib.Path | None = None
    ssl_ca_cert: pathlib.Path | None = None
    dry_run: bool = False
    force: bool = False
    environment_token: str | None = dataclasses.field(default=None, repr=False)
    poll_seconds: float = 10.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be sent.

    Attributes:
      uncached: the tasks that caching was turned off for.
      body: of the request that makes the run, without the IDs that the server gives.
    """

    host: str
    token: Token | None
    upload: Upload
    uncached: tuple[str, ...]
    body: Mapping[str, Any]


def make_plan(options: SubmitOptions) -> Plan:
    """Returns what is to be sent; nothing is sent.

    Raises:
      WrongCall: names what was expected and what came.
    """
    host, token = _host(options.host), _token(options)
    upload = read_upload(
        options.file, importlib.metadata.version(layout.PROJECT), force=options.force
    )
    pipeline = upload.pipeline
    assignments = [*_named_options(options), *parse_assignments(options.parameter)]
    values = values_of(assignments, options.models, pipeline.parameters)
    uncached = tuple(pipeline.tasks) if options.no_cache else _unsafe(values, [*pipeline.tasks])
    moment = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
    body = {
        "display_name": options.run_name or f"{pipeline.name} {moment}",
        "description": f"by {layout.PROJECT} submit: {pipeline.description}",
        "runtime_config": {"parameters": values},
    }
    return Plan(host, token, upload.without_cache(uncached) if uncached else upload, uncached, body)


def _named_options(options: SubmitOptions) -> Iterator[tuple[str, str]]:
    """Yields the parameters that have an option of their own and were given."""
    for parameter in parameters.COMMON:
        value = getattr(options, parameter.name, None)
        if value is not None:
            yield parameter.name, value


def _unsafe(values: Mapping[str, Any], tasks: list[str]) -> tuple[str, ...]:
    """Returns the tasks whose cached results may be of other data than these values name."""
    if not values.get(parameters.DATA.name) or values.get(parameters.DATA_SHA256.name):
        return ()
    return (READS_DATA,) if READS_DATA in tasks else tuple(tasks)


def _host(host: str) -> str:
    """Returns the URL without a slash at its end, and without what a browser shows behind it.

    A name and a password in it would be shown, and would not be used.
    """
    try:
        parts = urllib.parse.urlsplit(host)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        shown = "one with a name and a password" if "@" in host else repr(host)
        raise WrongCall(f"expected --host with a URL like http://localhost:8080; got {shown}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _token(options: SubmitOptions) -> Token | None:
    """Returns the token from the file, else from the environment, else none."""
    if options.token_file:
        source = f"the file {options.token_file}"
        try:
            text = options.token_file.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise WrongCall(f"expected a token in {source}; {error.strerror}") from None
    else:
        source = f"the environment variable {TOKEN_VARIABLE}"
        text = (options.environment_token or "").strip()
        if not text:
            return None
    # It becomes a header; what refuses others further down repeats them in its words.
    if not text or not all("!" <= character <= "~" for character in text):
        raise WrongCall(f"expected a token in {source}: printable characters without a space")
    return Token(text, source)


def notes(plan: Plan) -> Iterator[str]:
    """Yields what the user may not expect."""
    if plan.uncached == (READS_DATA,):
        yield (
            f"Caching is off for {READS_DATA}: what is at --data may change, and Kubeflow would "
            "not see it. --data-sha256 says which content it is."
        )
    parts = urllib.parse.urlsplit(plan.host)
    if plan.token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        yield f"The token goes to {plan.host} unencrypted: https would be better."


def with_ids(
    body: Mapping[str, Any], experiment: str, pipeline: str, version: str
) -> dict[str, Any]:
    """Returns the body of the request, with the IDs that the server gave."""
    reference = {"pipeline_id": pipeline, "pipeline_version_id": version}
    return {**body, "experiment_id": experiment, "pipeline_version_reference": reference}


def as_yaml(options: SubmitOptions, plan: Plan) -> str:
    """Returns what would be sent; an ID that the server would give is in angle brackets."""
    upload = plan.upload
    sent = {
        "host": plan.host,
        "token": f"set, from {plan.token.source}" if plan.token else "none",
        "namespace": options.namespace,
        "experiment": options.experiment,
        "pipeline": upload.pipeline.name,
        "version": upload.version_name,
        "file": str(options.file),
        "bytes": len(upload.text.encode()),
        "platforms": [*(upload.pipeline.platform.get("platforms") or {})],
        "caching_off": [*plan.uncached],
        "POST /apis/v2beta1/runs": with_ids(plan.body, "<experiment>", "<pipeline>", "<version>"),
    }
    return yaml.safe_dump(sent, sort_keys=False, allow_unicode=True, width=1_000_000)
