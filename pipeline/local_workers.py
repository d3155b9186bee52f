"""Beam's own runner with workers in processes of their own, told their job's options and watched.

FnApiRunner alone tells its workers no options, `--beam_plugin` among them, and waits without end
for the answer of one that was killed.
"""

import threading

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability import local_job_service, portable_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.runner import PipelineResult

PAUSE = 0.5  # seconds between two looks at what waits for a worker that is gone


class LocalWorkersRunner(FnApiRunner):
    """FnApiRunner for `--direct_running_mode=multi_processing`."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Returns the result of the run.

        Raises:
          RuntimeError: a step failed, or a worker's process ended.
        """
        told = self._provision_info.provision_info.pipeline_options
        told.CopyFrom(
            portable_runner.JobServiceHandle.encode_pipeline_options(
                options.get_all_options(drop_default=True)
            )
        )
        register = worker_handlers.WorkerHandler.register_environment
        register(python_urns.SUBPROCESS_SDK, bytes)(WatchedWorker)
        return super().run_pipeline(pipeline, options)


class WatchedWorker(worker_handlers.SubprocessSdkWorkerHandler):
    """A worker in a process of its own, whose end is the end of what it was asked."""

    def start_worker(self) -> None:
        """Starts it."""
        self.worker = local_job_service.SubprocessSdkWorker(
            self._worker_command_line, self.control_address, self.provision_info, self.worker_id
        )
        self._stopped = threading.Event()
        self.worker_thread = threading.Thread(target=self._run, daemon=True)
        self.worker_thread.start()

    def stop_worker(self) -> None:
        """Waits until it has ended."""
        self._stopped.set()
        super().stop_worker()

    def _run(self) -> None:
        try:
            self.worker.run()
        except Exception as error:  # whatever it is, nobody else answers
            self._answer_for_it(
                f"expected a worker of Beam to go on; {error} (137 or -9: killed, mostly because "
                "memory ran out): ask for fewer workers with --direct_num_workers"
            )

    def _answer_for_it(self, words: str) -> None:
        """Fails whatever the worker is asked, from now on too."""
        while not self._stopped.wait(PAUSE):
            for number, future in list(self.control_conn._futures_by_id.items()):
                if not future.is_done():
                    answer = beam_fn_api_pb2.InstructionResponse(error=words)
                    answer.instruction_id = number
                    future.set(answer)
