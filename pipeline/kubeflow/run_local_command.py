"""The options of `kubeflow run-local` as `RunLocalOptions`."""

import pathlib
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline.conclusion import WRONG_CALL
from pipeline.kubeflow.run_local import PIPELINE_ROOT, RunLocalOptions, run_local
from pipeline.kubeflow.values import parse_assignments
from pipeline.wrong_call import WrongCall

S3_ROOT = "s3://mlpipeline/v2/artifacts"


def run_compiled(
    file: pathlib.Path | None,
    profile: str,
    models: str | None,
    precision: str | None,
    workdir: pathlib.Path,
    parameter: tuple[str, ...],
    s3_endpoint: str,
    pipeline_root: str,
    at_once: int,
    retries: int | None,
    beam_args: tuple[str, ...],
    **named: Any,
) -> int:
    """Runs and returns the exit code.

    Args:
      named: parameters of the pipeline that have an option of their own.
    """
    try:
        assignments = parse_assignments(parameter)
    except WrongCall as error:
        Console().print(f"[red]{escape(str(error))}[/]", soft_wrap=True, highlight=False)
        return WRONG_CALL
    if named["data"]:
        named["data"] = str(pathlib.Path(named["data"]).resolve())
    assignments += [(name, str(value)) for name, value in named.items() if value]
    return run_local(
        RunLocalOptions(
            file=file,
            profile=profile,
            precision=precision,
            beam_args=beam_args,
            models=models,
            workdir=workdir,
            assignments=assignments,
            pipeline_root=pipeline_root or (S3_ROOT if s3_endpoint else PIPELINE_ROOT),
            s3_endpoint=s3_endpoint,
            at_once=at_once,
            retries=retries,
        )
    )
