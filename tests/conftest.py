"""The environment of every test, set before TensorFlow can be imported, and shared fixtures."""

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

READY_SECONDS = 60
STOP_SECONDS = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


LONG = {"graph", "test_stopping.py", "test_tuning_parallel.py", "test_doctor_of_networks.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes minutes first: a file of these left for the end would run alone."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


@dataclasses.dataclass
class ServerProcess:
    """A model server in a process of its own; `client` keeps connections open and has its address.

    The gRPC port is 0 where there is none.
    """

    process: subprocess.Popen[bytes]
    port: int
    grpc_port: int
    log_file: Path
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def memory(self) -> int:
        """Returns the bytes that the process has in memory."""
        return psutil.Process(self.process.pid).memory_info().rss

    def peak_memory(self) -> int:
        """Returns the most bytes that the process ever had in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    def signal(self, number: int) -> int:
        """Sends a signal and returns the exit code of the process."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ends the server as an operator does and returns its exit code."""
        return self.signal(signal.SIGTERM)


@contextlib.contextmanager
def run_server(folder: Path, *options: str | Path) -> Iterator[ServerProcess]:
    """Runs `python -m serving` with these options on free ports until the block ends.

    Args:
      folder: for the log and the ready file; made where it is missing.
      options: of the command line, beside ports and the ready file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready_file, log_file = folder / "ready.json", folder / "server.log"
    ready_file.unlink(missing_ok=True)
    ports = ("--port", "0", "--grpc-port", "0", "--ready-file", ready_file)
    command = [sys.executable, "-m", "serving", *map(str, (*ports, *options))]
    with log_file.open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            ports_of_it = _wait_for(ready_file, process, log_file)
            url = f"http://127.0.0.1:{ports_of_it['rest_port']}"
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                yield ServerProcess(
                    process, ports_of_it["rest_port"], ports_of_it["grpc_port"], log_file, client
                )
        finally:
            process.kill()


def _wait_for(ready_file: Path, process: subprocess.Popen[bytes], log_file: Path) -> dict[str, int]:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if ready_file.exists():
            return json.loads(ready_file.read_text())
        time.sleep(0.02)
    words = log_file.read_text(errors="replace")[-3_000:]
    raise RuntimeError(f"the server was not ready (exit code {process.poll()}); its log:\n{words}")


RunServer = Callable[..., contextlib.AbstractContextManager[ServerProcess]]


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> RunServer:
    """A context manager: `with running_server("--model-name", ...) as server:`."""

    def run(*options: str | Path) -> contextlib.AbstractContextManager[ServerProcess]:
        return run_server(tmp_path_factory.mktemp("server"), *options)

    return run


def save_digit_model(folder: Path, seed: int = 0, bias: float = 0.0) -> None:
    """Writes a SavedModel with the digit contract: one dense layer of random weights.

    Args:
      folder: the version's folder, which must not exist yet.
      seed: of the weights, so that two versions answer differently.
      bias: of every class; NaN makes a version that must never serve.
    """
    import numpy as np
    import tensorflow as tf

    from components.training.export import decode_digit

    served = tf.Module()
    weights = np.random.default_rng(seed).normal(0, 0.05, (784, 10)).astype(np.float32)
    served.weights, served.bias = tf.Variable(weights), tf.Variable(tf.fill([10], bias))

    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.reshape(tf.cast(image, tf.float32) / 255, (-1, 784))
        probabilities = tf.nn.softmax(pixels @ served.weights + served.bias)
        return {"probabilities": probabilities, "digit": tf.argmax(probabilities, -1)}

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.uint8, "image")])
    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(image)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "image_bytes")])
    def png(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(tf.map_fn(decode_digit, image_bytes, fn_output_signature=tf.uint8))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "examples")])
    def examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image": tf.io.FixedLenFeature((28, 28), tf.int64)}
        return answer(tf.io.parse_example(examples, spec)["image"])

    signatures = {"serving_default": serving_default, "png": png, "examples": examples}
    tf.saved_model.save(served, str(folder), signatures=signatures)


@pytest.fixture(scope="session")
def save_digits() -> Callable[..., None]:
    """`save_digits(folder, seed=0, bias=0.0)` writes a tiny model with the digit contract."""
    return save_digit_model


@pytest.fixture(scope="session")
def served_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `mnist` with version 1 of a tiny model of the digit contract; not to be changed."""
    base = tmp_path_factory.mktemp("served") / "mnist"
    save_digit_model(base / "1")
    return base


@pytest.fixture(scope="session")
def answers_right(served_digits: Path) -> Callable[[ServerProcess], None]:
    """`answers_right(server)` asserts that a server of `served_digits` still does its work."""
    import numpy as np
    import tensorflow as tf

    image = np.random.default_rng(1).integers(0, 256, (2, 28, 28), np.uint8)
    loaded = tf.saved_model.load(str(served_digits / "1"))
    expected = loaded.signatures["serving_default"](image=tf.constant(image))
    body = json.dumps({"inputs": {"image": image.tolist()}}).encode()

    def ask(server: ServerProcess) -> None:
        response = server.client.post("/v1/models/mnist:predict", content=body)
        assert response.status_code == 200, response.text
        outputs = response.json()["outputs"]
        assert outputs["digit"] == expected["digit"].numpy().tolist()
        assert outputs["probabilities"] == pytest.approx(
            expected["probabilities"].numpy(), abs=1e-5
        )

    return ask


@pytest.fixture(scope="session")
def transform_output(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A TFTransformOutput for (32, 32, 3), from the committed schema, as the Transform node's."""
    import apache_beam as beam
    import numpy as np
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.features import IMAGE, LABEL, preprocessing_fn
    from components.schema_gen import SCHEMA_FILE

    folder = str(tmp_path_factory.mktemp("transform"))
    temporary = str(tmp_path_factory.mktemp("temporary"))
    metadata = tft.DatasetMetadata(text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema()))
    rows = [{IMAGE: np.full((28, 28), shade, np.int64), LABEL: 3} for shade in (0, 255)]
    function = functools.partial(preprocessing_fn, custom_config={"input_shape": (32, 32, 3)})
    options = PipelineOptions(["--runner=FnApiRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=options) as root, tft_beam.Context(temp_dir=temporary):
        transform_fn = (root | beam.Create(rows), metadata) | tft_beam.AnalyzeDataset(function)
        _ = transform_fn | tft_beam.WriteTransformFn(folder)
        raw = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
        _ = metadata | tft_beam.WriteMetadata(raw, root)
    return tft.TFTransformOutput(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A server that speaks S3, with a bucket `bucket`."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
            patch.delenv(name)
        import boto3

        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="bucket")
        yield url
    server.shutdown()
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Playwright's browser without a window; where none is installed, tests are skipped."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser is installed: expected one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, which containers often are, Chromium runs without its sandbox or not at all.
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


def diagnosis_in_report(name: str) -> dict[str, Any]:
    """Returns what a doctor may have said of a training; the figures are invented."""
    words = {"vgg16": "exploding: in step 40 the loss went from 0.1 to 2e10"}
    steps = [0, 20, 80, 200]
    return {
        "state": "healthy",
        "sick": False,
        "words": words.get(name, "healthy: loss from 2.3 to 0.04"),
        "course": "",
        "samples": {
            "layers": ["conv2d", "dense"],
            "steps": steps,
            "top_share": [0.6, 0.15, 0.11, 0.1],
            "gradient": [[2.0, 3.0], [1.0, 1.1], [0.3, 0.5], [0.2, 0.4]],
            "update": [[0.002, 0.004]] * 4,
            "dead": [[0.0, None]] * 4,
            "spread": [[0.8, 1.2]] * 4,
            "loss_by_step": [[n, 2.3 / (1 + n / 9), 2.4] for n in range(1, 200, 4)]
            + [[201, None, None]],
        },
    }


def report_row(number: int, name: str, params: int, side: int, status: str) -> dict[str, Any]:
    """Returns a row of a report as a run of `laptop` makes it; the figures are invented."""
    import numpy as np

    from components.report import figures

    random = np.random.default_rng(number)
    labels = np.arange(12_000) % 10
    wrong = random.choice(12_000, 110 * (number + 1) ** 2, replace=False)
    answers = labels.copy()
    answers[wrong] = (labels[wrong] + random.integers(1, 10, len(wrong))) % 10
    sure = random.uniform(0.6, 1, 12_000)
    probabilities = np.eye(10)[answers] * sure[:, None]
    mistakes = figures.confident_mistakes(probabilities, labels)
    image = random.integers(0, 256, (28, 28)).astype(np.uint8)
    image[:6] = image[-6:] = 0
    shown = [{**dataclasses.asdict(m), "picture": figures.picture(image)} for m in mistakes]
    history = [
        {
            "epoch": epoch,
            "loss": (number + 1) * 0.3 / (epoch + 1),
            "accuracy": 1 - 0.1 * (number + 1) / (epoch + 1),
            "val_loss": (number + 1) * 0.2 / (epoch + 1) + 0.02,
            "val_accuracy": 1 - 0.06 * (number + 1) / (epoch + 1),
            "seconds": 35.1,
        }
        for epoch in range(6 - 2 * number)
    ]
    tested = {str(digit): 0.995 - 0.02 * number - 0.001 * digit for digit in range(10)}
    return {
        "name": name,
        "params": params,
        "input_shape": [side, side, 1],
        "batch_size": 64,
        "learning_rate": 0.002 / (number + 1),
        "precision": "mixed_bfloat16",
        "epochs": len(history),
        "best_epoch": len(history),
        "diverged": False,
        "train_images": 48_000 // (1 + 11 * (number > 0)),
        "eval_images": 12_000,
        "train_seconds": 70.2,
        "images_per_second": 1_600.0 / (number + 1) ** 2,
        "train_accuracy": 0.991,
        "train_loss": 0.03,
        "eval_accuracy": 1 - len(wrong) / 12_000,
        "eval_loss": 0.04,
        "test_accuracy": 0.992 - 0.02 * number,
        "test_loss": 0.031,
        "test_images": 10_000,
        "test_accuracy_by_digit": tested,
        "test_images_by_digit": {str(digit): 1_000 for digit in range(10)},
        "latency_ms": 1.5 + 4 * number,
        "model_bytes": params * 4 + 90_000,
        "status": status,
        "reason": "99.09% on 12,000 images of eval; <b>the others</b> are behind & far",
        "trials": [
            {
                "trial_id": str(trial),
                "status": "COMPLETED",
                "message": "",
                "batch_size": 64 if trial == 2 else 128,
                "learning_rate": 0.0005 / (number + 1) * 2**trial,
                "val_accuracy": 0.97 - 0.01 * trial - 0.004 * number * (trial + 1),
                "val_loss": 0.1,
                "seconds": 11.0,
            }
            for trial in range(4)
        ],
        "history": history,
        "diagnosis": diagnosis_in_report(name),
        "confusion": figures.confusion(probabilities, labels),
        "mistakes": shown,
    }


def behaviour_row(
    name: str, expected: str, shares: tuple[float | None, float | None, float], fine: bool
) -> dict[str, Any]:
    """Returns what behaviour.json says of one change; shares: accuracy, unchanged, confidence."""
    accuracy, unchanged, confidence = shares
    return {
        **{"name": name, "expected": expected, "digits": 1_000, "accuracy": accuracy},
        **{"unchanged": unchanged, "confidence": confidence, "as_expected": fine},
    }


@pytest.fixture(scope="session")
def whole_report() -> dict[str, Any]:
    """A report with everything in it, as large as one of the real data; not to be changed."""
    counts = {"train": 48_000, "eval": 12_000, "test": 10_000}
    nodes = [f"{kind}.{name}" for kind in ("Trainer", "Tuner") for name in ("sequential", "vgg16")]
    nodes += ["ServingValidator", "MnistExampleGen", "StatisticsGen", "ModelSelector"]
    return {
        "format": 1,
        "profile": "laptop",
        "decision": {
            "winner": "sequential",
            "blessed": True,
            "reason": "most accurate: 99.08% on 12,000 images of eval; the others are behind",
            "pushed_version": 1_795_536_825,
        },
        "data": {"sha256": "b2d8f5bf" * 8, **counts},
        "models": [
            report_row(0, "sequential", 873_738, 28, "winner"),
            report_row(1, "alexnet", 12_029_378, 227, "blessed"),
            report_row(2, "vgg16", 33_638_218, 32, "not blessed"),
        ],
        "statistics": {
            split: {
                "images": images,
                "labels": {str(d): images // 10 + 31 * d for d in range(10)},
                "pixel_mean": 33.3,
                "pixel_deviation": 78.6,
                "pixel_zeros": 0.8088,
            }
            for split, images in counts.items()
        },
        "anomalies": {"train": [], "eval": [], "test": []},
        "behaviour": [
            behaviour_row("unchanged", "the digit", (0.989, 1.0, 0.99), True),
            behaviour_row("inverted", "the same digit", (0.365, 0.362, 0.666), False),
            behaviour_row("blank", "unsure", (None, None, 0.115), True),
        ],
        "code": dict.fromkeys(nodes, "83cd556de0904124"),
        "packages": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "missing": [],
        "node_seconds": {node: 75.5 / (n + 1) ** 2 for n, node in enumerate(nodes)},
        "total_seconds": 417.2,
        "lineage": {
            "nodes": [
                {
                    "node": node,
                    "execution": n,
                    "outputs": [{"key": "model", "artifact": 40 + n, "uri": f"/w/{node}"}],
                }
                for n, node in enumerate(nodes, start=1)
            ]
        },
    }


@pytest.fixture
def evaluated(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an Evaluator's executor is given, inputs and properties: ten images, a baseline."""
    from google.protobuf import json_format
    from tfx.types import standard_artifacts

    from components.evaluator import evaluation_config

    model, examples = standard_artifacts.Model(), standard_artifacts.Examples()
    model.uri = str(tmp_path)
    examples.set_int_custom_property("test_images", 10)
    config = json_format.MessageToJson(evaluation_config(0.5))
    return {"baseline_model": [model], "examples": [examples]}, {"eval_config": config}
