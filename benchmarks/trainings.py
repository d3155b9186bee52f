"""Trains many networks side by side, one JSON file each, for the studies; goes on where it stopped.

Each training is `components.training.fit.fit`, which is what a Tuner's trial and a Trainer run. A
training has one process and an equal part of the cores. Imported by the studies; called by itself
with one training as JSON.
"""

import concurrent.futures
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import types
from collections.abc import Sequence
from typing import Any

DEFAULT_FOLDER = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Training:
    """What one training depends on; the fields have `FitJob`'s and `ModelSettings`' meaning.

    Attributes:
      group: what it is compared as, such as "A".
      side: height and width of the input.
      images: of `train`, from its start; 0 means all 48,000.
      eval_images: of `eval`, after each epoch; 0 means all 12,000.
      test_images: of `test`, from its start; None means all 10,000.
      variant: arguments of the model's `network`, and `clip_norm`, instead of what its `build` has;
        `module` is that of another `network`.
      changes: of `ModelSettings`, by field.
    """

    group: str
    seed: int
    model: str = "sequential"
    side: int = 28
    batch_size: int = 64
    learning_rate: float = 1e-3
    epochs: int = 10
    images: int = 0
    eval_images: int = 0
    precision: str = "auto"
    schedule: str = "constant"
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    variant: dict[str, Any] | None = None
    test_images: int | None = None

    @property
    def file(self) -> str:
        """The name of its result, which changes with everything that it depends on."""
        given = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        text = json.dumps(given, sort_keys=True)
        group = self.group.replace(" ", "-")
        return f"{group}-{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"


Result = dict[str, Any]


def results(trainings: Sequence[Training], folder: pathlib.Path) -> list[Result]:
    """Returns what was found, in order; trainings that were not run yet are left out."""
    files = [folder / training.file for training in trainings]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def all_results(folder: pathlib.Path) -> list[Result]:
    """Returns all trainings that a folder has, whichever benchmark ran them."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [result for result in found if "group" in result]


def run_all(trainings: Sequence[Training], folder: pathlib.Path, jobs: int) -> list[Result]:
    """Runs what was not run yet, `jobs` at a time, and returns all results in order.

    Raises:
      subprocess.CalledProcessError: a training failed; those that ended are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [t for t in trainings if not (folder / t.file).exists()]
    cores = sorted(os.sched_getaffinity(0))
    share = max(len(cores) // jobs, 1)
    lanes = [set(cores[i * share : (i + 1) * share]) or set(cores) for i in range(jobs)]

    def run(training: Training) -> None:
        lane = lanes.pop()
        try:
            _spawn(training, folder, lane)
        finally:
            lanes.append(lane)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, t) for t in missing]):
            done.result()
    return results(trainings, folder)


def machine() -> str:
    """Returns the processor's name, its cores and whether it computes bfloat16 fast."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = next(line for line in text.splitlines() if line.startswith("model name"))
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in text.split()]
    cores = len(os.sched_getaffinity(0))
    counted = f"{cores} core{'s' if cores > 1 else ''}"
    return f"{counted} of {name.partition(':')[2].strip()} ({', '.join(flags) or 'no bfloat16'})"


def _spawn(training: Training, folder: pathlib.Path, cores: set[int]) -> None:
    argument = json.dumps(dataclasses.asdict(training))
    threads = {
        name: str(len(cores))
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    }
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "0", "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, __file__, argument, str(folder / training.file)]
    subprocess.run(
        ["taskset", "-c", ",".join(map(str, sorted(cores))), *command],
        env={**os.environ, **threads, **quiet},
        check=True,
        stdout=sys.stderr,
    )


def _train(training: Training, file: pathlib.Path) -> None:
    from components import data
    from components.features import to_pixels
    from components.models import module_of
    from components.settings import ModelSettings
    from components.training import precision, scoring
    from components.training.dataset import Digits
    from components.training.doctor.report import diagnosis_of
    from components.training.fit import FitJob, fit
    from components.training.keeper import TrainingDiverged

    splits = data.split(
        data.load(""), training.images, training.eval_images, training.test_images or 0
    )
    train, eval_, test = (
        Digits(images, labels.astype("int64"))
        for images, labels in (splits["train"], splits["eval"], splits["test"])
    )
    module = module_of(training.model)
    shape = (training.side, training.side, importlib.import_module(module).INPUT_SHAPE[-1])
    if training.variant is not None:
        module = _variant(module, **training.variant)
    policy = precision.resolve(training.precision)
    settings = ModelSettings(
        training.model, module, shape, policy, training.schedule, training.seed, **training.changes
    )

    def transform(image: Any) -> Any:
        return to_pixels(image, shape)

    job = FitJob(
        f"{training.group} seed {training.seed}", settings, policy, training.batch_size,
        training.learning_rate, training.epochs, training.epochs, train, eval_, transform,
    )  # fmt: skip
    found: Result = {**dataclasses.asdict(training), "policy": policy, "machine": machine()}
    try:
        result = fit(job)
    except TrainingDiverged as error:
        found |= {"failure": str(error), "seen": _seen(error.chart.in_columns())}
    else:
        answers = scoring.predict(result.model, test.images, transform)
        found |= {
            "params": result.model.count_params(),
            "history": result.record.history,
            "best_epoch": result.record.best_epoch,
            "train_seconds": result.record.train_seconds,
            "eval_seconds": result.record.eval_seconds,
            "test_accuracy": scoring.accuracy(answers, test.labels),
            "test_loss": scoring.cross_entropy(answers, test.labels),
            "diagnosis": diagnosis_of(result.record, result.diagnosis),
        }
        found["seen"] = _seen(found["diagnosis"].pop("samples"))
    keep(found, file)


def keep(found: Result, file: pathlib.Path) -> None:
    """Writes a result, whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.replace(file)


def _seen(samples: dict[str, Any]) -> dict[str, Any]:
    """Returns the course of the loss and the last two looks; all looks are most of the file."""
    each = set(samples) - {"layers", "loss_by_step"}
    return {name: values[-2:] if name in each else values for name, values in samples.items()}


def _variant(original: str, clip_norm: float | None, module: str = "", **arguments: Any) -> str:
    """Registers a model's module with another `build`, and returns its name."""
    from components.models.compiling import HParams, compile_classifier

    network = importlib.import_module(module or original).network

    def build(hparams: HParams, shape: tuple[int, ...]) -> Any:
        return compile_classifier(network(shape, **arguments), hparams, clip_norm)

    variant = types.ModuleType("variant")
    vars(variant).update(vars(importlib.import_module(original)), build=build)
    sys.modules["variant"] = variant
    return "variant"


if __name__ == "__main__":
    _train(Training(**json.loads(sys.argv[1])), pathlib.Path(sys.argv[2]))
