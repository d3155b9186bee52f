"""A Beam runner that rehearses Dataflow: it builds the job that would be sent and runs it here.

`--runner=pipeline.dataflow.RehearsalRunner` takes Dataflow's own arguments. Nothing is sent, and
nobody is asked for credentials; that the job would run on Dataflow's workers is not shown by it.
"""

import json
import pathlib
import tempfile

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.dataflow.internal import apiclient
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner
from apache_beam.transforms.environments import (
    EmbeddedPythonEnvironment,
    python_sdk_capabilities,
)


class RehearsalOptions(PipelineOptions):
    """Where the jobs are written."""

    @classmethod
    def _add_argparse_args(cls, parser: object) -> None:
        parser.add_argument(  # type: ignore[attr-defined]
            "--rehearsal_folder", default="", help="For each job as JSON and as Beam's graph."
        )


class RehearsalRunner(PipelineRunner):
    """Builds the job as DataflowRunner does, writes it down, and runs the graph in memory."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Returns the result of the run in memory.

        Raises:
          ValueError: Dataflow would refuse the options, or something cannot be pickled.
        """
        dataflow = DataflowRunner()
        options.view_as(TestOptions).dry_run = True  # else the bucket is asked about, for long
        faults = PipelineOptionsValidator(options, dataflow).validate()
        if faults:
            words = "; ".join(fault.strip(" .\n") for fault in faults)
            raise ValueError(f"expected options that Dataflow takes; {words}")
        workers = EmbeddedPythonEnvironment(capabilities=python_sdk_capabilities())
        here = pipeline.to_runner_api(default_environment=workers)  # before Dataflow changes it
        built = dataflow.run_pipeline(pipeline, options).job
        _describe(built)
        _write(built, pathlib.Path(options.view_as(RehearsalOptions).rehearsal_folder))
        return FnApiRunner().run_via_runner_api(here, options)


def _describe(job: apiclient.Job) -> None:
    """Adds what a submission would after it has staged the files: workers, options, image."""
    job.proto.environment = apiclient.Environment(
        proto_pipeline_staged_url=f"{job.google_cloud_options.staging_location}/pipeline.pb",
        packages=[],
        options=job.options,
        environment_version=apiclient._FNAPI_ENVIRONMENT_MAJOR_VERSION,
        proto_pipeline=job.proto_pipeline,
    ).proto


def _write(job: apiclient.Job, folder: pathlib.Path) -> None:
    """Writes `<number>.json`, what Dataflow is asked for, and `<number>.pb`, the graph."""
    if folder == pathlib.Path():
        folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-"))
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.json")))
    (folder / f"{number:02d}.json").write_text(json.dumps(json.loads(job.json()), indent=1))
    (folder / f"{number:02d}.pb").write_bytes(job.proto_pipeline.SerializeToString())
