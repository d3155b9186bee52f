"""The command `run`, from the user's options to an exit code."""

import dataclasses
import datetime
import logging
import pathlib
import shutil
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

from absl import logging as absl_logging
from rich.console import Console
from rich.markup import escape

from components import data
from pipeline import conclusion, engines, profiles, pushes, results, screen
from pipeline.beam_arguments import beam_arguments
from pipeline.conclusion import FAILED, STOPPED, WRONG_CALL
from pipeline.events import NodeFailed
from pipeline.interrupts import interrupted_by_sigterm
from pipeline.log_file import logs_in
from pipeline.options import Options, check, check_gpus
from pipeline.workdir import Workdir, WorkdirBusy, WorkdirUnusable, locked
from pipeline.wrong_call import WrongCall

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
WRONG_CALLS = (WrongCall, WorkdirBusy, WorkdirUnusable, results.NeverTuned)
EXPECTED = (*WRONG_CALLS, data.DataError, OSError)


def run_pipeline(options: Options) -> int:
    """Runs, shows, and returns the exit code."""
    workdir = Workdir.at(options.workdir)
    console = Console()
    try:
        check(options)
        workdir.open()
        with locked(workdir), interrupted_by_sigterm():
            return _run_locked(options, workdir)
    except EXPECTED as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True, highlight=False)
        return WRONG_CALL if isinstance(error, WRONG_CALLS) else FAILED
    except KeyboardInterrupt:
        console.print("Stopped. The next run goes on from what is done.")
        return STOPPED


def _run_locked(options: Options, workdir: Workdir) -> int:
    begun = time.monotonic()
    log = workdir.logs / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    with logs_in(log) as real:
        console = screen.console_on(real.output)
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr, force=True)
        absl_logging.set_verbosity(absl_logging.INFO)
        try:
            return _Run(options, workdir, console, log, begun).go()
        except EXPECTED:
            raise
        except Exception as error:
            traceback.print_exc()
            console.print(f"[red]{escape(repr(error))}[/]", soft_wrap=True, highlight=False)
            console.print(
                f"The libraries' log: {escape(str(log))}", soft_wrap=True, highlight=False
            )
            return FAILED


class _Run:
    """One run: its options and what it writes to."""

    def __init__(
        self,
        options: Options,
        workdir: Workdir,
        console: Console,
        log: pathlib.Path,
        begun: float,
    ) -> None:
        self._options, self._workdir, self._console = options, workdir, console
        self._log, self._begun = log, begun
        self._screen = screen.Screen(console)

    def go(self) -> int:
        """Plans, runs the graph, reports; returns the exit code."""
        facts, graph_settings = self._plan()
        try:
            with self._screen.listening():
                self._run_graph(graph_settings)
        except NodeFailed as error:
            traceback.print_exc()
            self._say(f"[red]{escape(str(error))}[/]")
            self._say(f"The libraries' log: {escape(str(self._log))}")
            self._say(conclusion.after_failure(self._screen.done))
            return FAILED
        shutil.rmtree(self._workdir.state, ignore_errors=True)
        return self._conclude(facts, graph_settings.served_state)

    def _plan(self) -> tuple[dict[str, Any], Any]:
        """Returns the facts for the report and the graph's settings; bad data ends it first."""
        profile = profiles.PROFILES[self._options.profile]
        check_gpus(self._options.devices)
        found_data = data.summarize(self._location())
        images = data.split_sizes(found_data, *profile.images.values())

        from components.schema_gen import SCHEMA_FILE
        from components.training import devices
        from pipeline import graph, plan
        from pipeline.settings import model_nodes

        self._tidy()
        names = self._options.model_names
        found = (
            results.found_hyperparameters(self._workdir, names) if self._options.no_tune else None
        )
        precision = self._options.precision or profile.precision
        planned = plan.make_plan(
            *(profile, names, precision, images, self._workdir.plan, self._measure),
            gpus=devices.describe_gpus(),
        )
        self._show_plan(planned)
        facts = {"profile": profile.name, "data": {"sha256": found_data.sha256, **images}}
        return facts, graph.GraphSettings(
            workdir=self._workdir,
            data=self._location(),
            sha256=found_data.sha256,
            images=profile.images,
            models=model_nodes(
                *(profile, planned, names, self._workdir, found),
                self._options.parallel_trials,
                self._options.devices,
            ),
            accuracy_floor=profile.accuracy_floor,
            served_state=pushes.served_state(self._workdir),
            pinned=pushes.pinned(self._workdir.serving),
            schema_text=SCHEMA_FILE.read_text(),
            beam_args=tuple(engines.complete(beam_arguments(self._options.beam_args))),
        )

    def _tidy(self) -> None:
        """Clears away what earlier runs left half-written; moves what is of no known run."""
        from pipeline import store

        metadata = store.connect(self._workdir.metadata)
        store.abandon_unfinished(metadata, self._workdir.artifacts)
        if aside := store.set_aside_unknown(metadata, self._workdir.artifacts):
            self._say(
                f"{self._workdir.metadata} knows nothing of some of the artifacts that are there: "
                f"they are in {aside} now"
            )

    def _location(self) -> str:
        where = self._options.data
        return where if where in ("", data.PACKAGED) else str(pathlib.Path(where).resolve())

    def _measure(self, name: str, precision: str) -> Any:
        from components.training import probe
        from pipeline import plan
        from pipeline.settings import model_settings

        self._say(f"measuring {name} ...")
        profile = profiles.PROFILES[self._options.profile]
        speed = probe.measure(
            model_settings(profile, name, precision), profile.of(name).smallest_batch
        )
        return plan.ModelSpeed(**dataclasses.asdict(speed))

    def _show_plan(self, planned: Any) -> None:
        if planned.seconds is not None:
            rungs = ", ".join(
                f"{name}: rung {m.rung.name} ({m.rung.images or 'all'} images x {m.rung.epochs}, "
                f"{m.precision})"
                for name, m in planned.models.items()
            )
            self._say(f"About {planned.seconds / 60:.1f} minutes if nothing is cached. {rungs}")

    def _run_graph(self, settings: Any) -> None:
        from pipeline import graph, runner

        made = graph.create_pipeline(settings)
        per_node = engines.node_arguments(self._options.node_beam_args)
        engines.give_arguments(made.components, per_node)
        runner.run(made, self._options.dag_runner, self._screen.on_node)

    def _conclude(self, facts: Mapping[str, Any], state: str) -> int:
        seconds = round(time.monotonic() - self._begun, 1)
        whole = results.write_results(
            self._workdir,
            {**facts, "node_seconds": self._screen.seconds, "total_seconds": seconds},
            results.found_by_the_run(self._workdir),
        )
        if whole["pushed_version"]:
            pushes.remember(self._workdir, whole["pushed_version"], state)
        return conclusion.show(self._console, self._workdir, whole, self._log)

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=True, highlight=False)
