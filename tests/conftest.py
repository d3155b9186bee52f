"""The environment of every test, set before TensorFlow can be imported, and shared fixtures."""

import contextlib
import dataclasses
import functools
import json
import os
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
    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
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
