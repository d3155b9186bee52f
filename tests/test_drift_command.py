"""From requests to an exit code: what is read of a log, and the command on a small run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import data
from components.drift import statistics
from components.drift.asked import Answers, newest_digits
from components.drift.confidence import answers_on, kept_answers
from components.example_gen import to_examples
from pipeline import store
from pipeline.drift import show_drift
from pipeline.workdir import PIPELINE_NAME, SERVED_NAME, Workdir
from serving.request_log import RequestLog
from serving.request_records import read

pytestmark = pytest.mark.slow

VERSION = 1
Splits = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return data.split(data.load(data.PACKAGED), 4_000, 2_000, 1_000)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory, splits: Splits, save_digits: Any) -> Workdir:
    """What a run leaves that `drift` looks at; not to be changed."""
    made = Workdir.at(tmp_path_factory.mktemp("workdir"))
    made.open()
    examples, found = made.artifacts / "examples", made.artifacts / "statistics"
    for name, (images, labels) in splits.items():
        folder = examples / f"Split-{name}"
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
            for example in to_examples(images, labels):
                writer.write(example)
    of_training = found / "Split-train" / "FeatureStats.pb"
    of_training.parent.mkdir(parents=True)
    pixels = statistics.of_pixels(splits[data.TRAIN][0])
    of_training.write_bytes(pixels.SerializeToString())
    record(made, "MnistExampleGen", "examples", examples)
    record(made, "StatisticsGen", "statistics", found)
    save_digits(made.serving / str(VERSION))
    return made


def record(workdir: Workdir, node: str, key: str, folder: Path) -> None:
    """Notes in ML Metadata, as the runner does, that a node made an artifact."""
    database = store.connect(workdir.metadata)
    kinds = [
        database.put_context_type(mlmd.ContextType(name=store.NODE_CONTEXT)),
        database.put_execution_type(mlmd.ExecutionType(name=node)),
        database.put_artifact_type(mlmd.ArtifactType(name=key)),
    ]
    event = mlmd.Event(type=mlmd.Event.OUTPUT)
    event.path.steps.add(key=key)
    database.put_execution(
        mlmd.Execution(type_id=kinds[1], last_known_state=mlmd.Execution.COMPLETE),
        [(mlmd.Artifact(type_id=kinds[2], uri=str(folder)), event)],
        [mlmd.Context(type_id=kinds[0], name=f"{PIPELINE_NAME}.{node}")],
    )


def log_of(folder: Path, images: np.ndarray, answers: np.ndarray, **changed: Any) -> Path:
    """Writes a log of one request an image."""
    log = RequestLog(folder, 1.0)
    request = {"model": SERVED_NAME, "version": VERSION, "signature": "serving_default", **changed}
    for image, answer in zip(images, answers, strict=True):
        log.offer(
            inputs={"image": image[np.newaxis]},
            outputs={"probabilities": answer[np.newaxis], "digit": answer.argmax(keepdims=True)},
            **request,
        )
    log.close()
    return folder


def answer(workdir: Workdir, images: np.ndarray) -> np.ndarray:
    """Returns probabilities float32 [n, 10] of the served version."""
    model = tf.saved_model.load(str(workdir.serving / str(VERSION)))
    return model.signatures["serving_default"](image=tf.constant(images))["probabilities"].numpy()


def test_every_signature_is_read(tmp_path: Path, splits: Splits) -> None:
    images, labels = splits[data.TEST]
    one_hot = np.eye(10, dtype=np.float32)[labels[:6]]
    png = np.array([tf.io.encode_png(image[..., None]).numpy() for image in images[2:4]], object)
    asked = {
        "serving_default": {"image": images[:2]},
        "png": {"image_bytes": png},
        "examples": {"examples": np.array(to_examples(images[4:6], labels[4:6]), object)},
    }
    log = RequestLog(tmp_path, 1.0)
    for number, (signature, inputs) in enumerate(asked.items()):
        probabilities = one_hot[2 * number : 2 * number + 2]
        log.offer(SERVED_NAME, 5, signature, inputs, {"probabilities": probabilities})
    log.close()
    found = newest_digits(read(tmp_path), SERVED_NAME, 100)
    newest_first = [4, 5, 2, 3, 0, 1]
    np.testing.assert_array_equal(found.images, images[newest_first])
    np.testing.assert_array_equal(found.answers.digits, labels[newest_first])
    assert found.answers.confidence.tolist() == [1.0] * 6
    assert found.versions.tolist() == [5] * 6
    assert found.unread == 0


def test_the_newest_are_kept(tmp_path: Path, splits: Splits) -> None:
    images = splits[data.TEST][0][:9]
    log_of(tmp_path, images, np.full((9, 10), 0.1, np.float32))
    found = newest_digits(read(tmp_path), SERVED_NAME, 4)
    np.testing.assert_array_equal(found.images, images[:4:-1])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"image": np.zeros((1, 28, 28, 3), np.uint8)}, {"probabilities": np.ones((1, 10))}),
        ({"image": np.zeros((2, 28, 28), np.uint8)}, {"probabilities": np.ones((1, 10))}),
        ({"image_bytes": np.array([b"GIF89a"], object)}, {"probabilities": np.ones((1, 10))}),
        ({"examples": np.array([b"\xff\xff"], object)}, {"probabilities": np.ones((1, 10))}),
        ({"x": np.ones(1)}, {"y": np.ones(1)}),
        ({"image": np.zeros((1, 28, 28), np.uint8)}, {"y": np.ones(1)}),
        ({}, {}),
    ],
)
def test_requests_that_are_not_of_digits_are_left_out_and_counted(
    tmp_path: Path, inputs: Any, outputs: Any
) -> None:
    log = RequestLog(tmp_path, 1.0)
    log.offer(SERVED_NAME, 1, "serving_default", inputs, outputs)
    log.close()
    found = newest_digits(read(tmp_path), SERVED_NAME, 100)
    assert (found.unread, found.images.shape) == (1, (0, 28, 28))


def test_requests_of_another_model_are_left_out_and_counted(tmp_path: Path) -> None:
    log_of(tmp_path, np.zeros((3, 28, 28), np.uint8), np.ones((3, 10)), model="other")
    assert newest_digits(read(tmp_path), SERVED_NAME, 100).unread == 3


def test_answers_on_test_are_kept_by_version_and_data(
    tmp_path: Path, workdir: Workdir, splits: Splits
) -> None:
    model, images = workdir.serving / str(VERSION), splits[data.TEST][0][:300]
    found = kept_answers(model, images, "some", tmp_path / "kept")
    np.testing.assert_array_equal(found.digits, answers_on(model, images).digits)
    assert len(found.confidence) == 300
    # Kept: asked with nothing to answer about, the same comes.
    again = kept_answers(model, images[:0], "some", tmp_path / "kept")
    np.testing.assert_array_equal(again.confidence, found.confidence)
    assert len(kept_answers(model, images[:7], "others", tmp_path / "kept").digits) == 7


@pytest.mark.parametrize("torn", [b"", b"PK\x03\x04 torn"])
def test_a_torn_file_of_answers_is_made_again(
    tmp_path: Path, workdir: Workdir, splits: Splits, torn: bytes
) -> None:
    model, images = workdir.serving / str(VERSION), splits[data.TEST][0][:3]
    kept_answers(model, images, "some", tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(torn)
    assert isinstance(kept_answers(model, images, "some", tmp_path), Answers)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_without_a_run_the_command_says_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_drift(tmp_path, None) == 2
    assert f"expected a finished run in {tmp_path}" in capfd.readouterr().err


def test_a_run_that_ended_before_its_data_is_no_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store.connect(tmp_path / "metadata.sqlite").get_executions()
    log = log_of(tmp_path / "log", np.zeros((60, 28, 28), np.uint8), np.ones((60, 10)))
    assert show_drift(tmp_path, log) == 2
    assert "expected a run" in capfd.readouterr().err


def test_without_a_log_the_command_says_what_to_do(
    workdir: Workdir, capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_drift(workdir.root, None) == 2
    said = capfd.readouterr().err
    assert f"serve with --log-requests {workdir.root / 'requests'}" in said


def test_a_workdir_that_takes_no_log_is_a_wrong_call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("metadata.sqlite", "logs"):  # a file where a folder should be: root may write all
        (tmp_path / name).touch()
    log = log_of(tmp_path / "log", np.zeros((60, 28, 28), np.uint8), np.ones((60, 10)))
    assert show_drift(tmp_path, log) == 2
    said = capfd.readouterr().err
    assert f"expected to read {log} and to write to {tmp_path}; " in said
    assert str(tmp_path / "logs") in said


def test_49_digits_are_too_few(
    tmp_path: Path, workdir: Workdir, splits: Splits, capfd: pytest.CaptureFixture[str]
) -> None:
    images = splits[data.TEST][0][:49]
    log = log_of(tmp_path, images, answer(workdir, images))
    assert show_drift(workdir.root, log) == 2
    assert f"expected at least 50 digits in {log}; found 49" in capfd.readouterr().err


def test_a_version_that_is_gone_leaves_the_pictures_to_compare(
    tmp_path: Path, workdir: Workdir, splits: Splits, capfd: pytest.CaptureFixture[str]
) -> None:
    images = splits[data.TEST][0][:60]
    log = log_of(tmp_path, images, answer(workdir, images), version=9)
    assert show_drift(workdir.root, log) == 0
    said = capfd.readouterr().out
    assert "60 digits, asked about " in said
    assert "look like the 4,000 of the training." in said
    assert f"The answers of version 9 are not compared: not in {workdir.serving}." in said


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, workdir: Workdir, splits: Splits, running_server: Any
) -> tuple[Path, Path]:
    """Logs of a real server: asked about 100 digits of `test`, and about the same inverted."""
    logs = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("inverted")
    images = splits[data.TEST][0][:100]
    for log, asked in zip(logs, (images, 255 - images), strict=True):
        model = ("--model-name", SERVED_NAME, "--model-base-path", workdir.serving)
        with running_server(*model, "--log-requests", log) as server:
            for image in asked:
                body = {"instances": [image.tolist()]}
                got = server.client.post(f"/v1/models/{SERVED_NAME}:predict", json=body)
                got.raise_for_status()
            server.stop()
    return logs


def test_digits_of_test_through_a_real_server_are_no_drift(
    workdir: Workdir, served: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_drift(workdir.root, served[0]) == 0
    said = capfd.readouterr().out
    assert "100 digits, asked about " in said
    assert "look like the 4,000 of the training." in said
    assert "confidence has not fallen" in said


def test_inverted_digits_through_a_real_server_are_drift(
    workdir: Workdir, served: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert show_drift(workdir.root, served[1]) == 3
    said = capfd.readouterr().out
    assert "differ from the 4,000 of the training:" in said
    assert "the pictures are probably inverted" in said
