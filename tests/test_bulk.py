"""The command `bulk` on real files and a small model: what it writes, refuses and goes on with."""

import gzip
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest
import tensorflow as tf
from PIL import Image

from components import data
from components.bulk import inputs, job, parts
from components.data import to_idx_bytes
from components.example_gen import to_examples
from components.saved_model import digest
from pipeline.beam_arguments import beam_arguments
from pipeline.bulk import Options, predict_in_bulk

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
DIGITS = 300
SHARD = 128  # three parts
Call = Callable[..., int]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return data.load(data.PACKAGED).test_images[:DIGITS]


def png(image: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", **options)
    return out.getvalue()


def write_idx(folder: Path, images: np.ndarray) -> None:
    (folder / "a-images").write_bytes(to_idx_bytes(images[:200]))
    (folder / "b-images.gz").write_bytes(gzip.compress(to_idx_bytes(images[200:])))
    (folder / "labels.gz").write_bytes(gzip.compress(to_idx_bytes(np.zeros(9, np.uint8))))


def write_pngs(folder: Path, images: np.ndarray) -> None:
    for number, image in enumerate(images):
        file = folder / f"{number // 150}" / f"{number:04d}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(png(image))


def write_records(folder: Path, images: np.ndarray) -> None:
    """Writes pixels to one file, PNGs to another."""
    with tf.io.TFRecordWriter(str(folder / "a"), "GZIP") as writer:
        for example in to_examples(images[:200], np.zeros(200)):
            writer.write(example)
    with tf.io.TFRecordWriter(str(folder / "b")) as writer:
        for image in images[200:]:
            file = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(image)]))
            features = tf.train.Features(feature={"image_bytes": file})
            writer.write(tf.train.Example(features=features).SerializeToString())


WRITERS = {"idx": write_idx, "png": write_pngs, "tfrecord": write_records}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> Path:
    """A folder with the same digits as each kind; not to be changed."""
    folder = tmp_path_factory.mktemp("given")
    for name, write in WRITERS.items():
        (folder / name).mkdir()
        write(folder / name, images)
    return folder


@pytest.fixture(scope="module")
def expected(served_digits: Path, images: np.ndarray) -> np.ndarray:
    """What the model answers in process: float32 [n, 10]."""
    model = tf.saved_model.load(str(served_digits / "1"))
    return model.signatures["serving_default"](image=tf.constant(images))["probabilities"].numpy()


@pytest.fixture
def bulk(served_digits: Path, tmp_path: Path) -> Call:
    """`bulk(input, **options)` runs the command in this process, into `tmp_path / "out"`."""
    options = Options(
        given=tmp_path,
        output=tmp_path / "out",
        form="jsonl",
        workdir=tmp_path / "workdir",
        model_dir=served_digits,
        model_version=None,
        prepare=False,
        max_bad=0.1,
        shard_size=SHARD,
        batch_size=50,
        beam_args=(),
    )
    return lambda path, **changed: predict_in_bulk(
        Options(**{**vars(options), "given": path, **changed})
    )


def rows_of(folder: Path, form: str = "json") -> list[dict[str, Any]]:
    """Reads the predictions as another program would."""
    return pyarrow.dataset.dataset(folder / "predictions", format=form).to_table().to_pylist()


def files_of(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in (folder / "predictions").iterdir()}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("kind", WRITERS)
def test_each_kind_is_predicted_as_in_process(
    kind: str, form: str, given: Path, bulk: Call, tmp_path: Path, expected: np.ndarray
) -> None:
    assert bulk(given / kind, form=form) == 0
    rows = rows_of(tmp_path / "out", "parquet" if form == "parquet" else "json")
    assert [row["digit"] for row in rows] == expected.argmax(1).tolist()
    np.testing.assert_allclose([row["probabilities"] for row in rows], expected, atol=1e-6)
    assert {row["model_version"] for row in rows} == {"1"}
    places = {(row["source"], row["index"]) for row in rows}
    assert len(places) == DIGITS
    last = {"idx": ("b-images.gz", 99), "png": ("1/0299.png", 0), "tfrecord": ("b", 99)}
    assert max(places) == last[kind]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["predicted"], summary["bad"]) == (DIGITS, 0)
    assert sum(summary["digits"].values()) == DIGITS


def test_a_single_file_is_an_input_and_a_finished_output_is_left_alone(
    given: Path, bulk: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bulk(given / "png" / "0" / "0007.png") == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["source"] == "0007.png"
    times = {f: f.stat().st_mtime_ns for f in (tmp_path / "out" / "predictions").iterdir()}
    assert bulk(given / "png" / "0" / "0007.png") == 0
    assert {f: f.stat().st_mtime_ns for f in times} == times
    assert "1 parts, 1 of them before" in capfd.readouterr().out


def test_what_a_runner_does_twice_is_there_once(
    given: Path, bulk: Call, tmp_path: Path, served_digits: Path
) -> None:
    assert bulk(given / "tfrecord") == 0
    output = parts.Output(tmp_path / "twice", "jsonl", 3, "1")
    model = served_digits / "1"
    made = job.Job(given / "tfrecord", output, model, digest(model), 50, None)
    pieces = inputs.pieces(inputs.look_at(given / "tfrecord"), SHARD)
    job.run(made, [*pieces, *reversed(pieces)], beam_arguments(()))
    worker = job.load_worker(made)
    job.write(job.predict(pieces[1], made, worker), output)
    assert files_of(tmp_path / "twice") == files_of(tmp_path / "out")


def bad_pngs(folder: Path, images: np.ndarray) -> dict[str, str]:
    """Writes PNGs that are no digits, and nine that are; returns what is to be said of which."""
    good = png(images[0])
    colours = np.repeat(images[0][..., None], 3, 2)
    bad = {
        "empty.png": (b"", "expected a PNG; the file is empty"),
        "gif.png": (b"GIF89a" + good, "expected a PNG; the file begins otherwise"),
        "short.png": (good[:20], "expected a whole PNG; the file is cut short"),
        "torn.png": (good[:-40], "expected a whole PNG; it cannot be decoded"),
        "wide.png": (
            png(np.zeros((28, 30), np.uint8)),
            "expected a picture of 28x28 pixels; it has 30x28",
        ),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    (folder / "colour.png").write_bytes(png(colours))
    for number in range(8):
        (folder / f"{number}.png").write_bytes(good)
    return {name: reason for name, (_, reason) in bad.items()}


def bad_of(folder: Path) -> list[dict[str, Any]]:
    lines = [line for f in sorted((folder / "bad").iterdir()) for line in f.open()]
    return [json.loads(line) for line in lines]


def test_bad_pictures_are_kept_aside_with_their_reasons(
    bulk: Call, tmp_path: Path, images: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    expected = bad_pngs(folder, images)
    assert bulk(folder) == 1
    assert {row["source"]: row["reason"] for row in bad_of(tmp_path / "out")} == expected
    rows = rows_of(tmp_path / "out")
    assert {row["source"] for row in rows} == {"colour.png", *(f"{n}.png" for n in range(8))}
    assert len({row["digit"] for row in rows}) == 1
    out = capfd.readouterr().out
    assert "expected at most 10.0% bad records; got 35.7%: look at them, or allow more" in out
    assert f"bad:     5 in {tmp_path}/out/bad, the first: empty.png, 0: expected a PNG" in out
    assert bulk(folder, max_bad=0.5) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["predicted"] == 9


def example(**features: list[Any]) -> bytes:
    def feature(values: list[Any]) -> tf.train.Feature:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    named = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def test_bad_examples_are_kept_aside_with_their_reasons(
    bulk: Call, tmp_path: Path, images: np.ndarray
) -> None:
    levels = images[0].ravel().tolist()
    records = [
        (example(image=levels), ""),
        (example(label=[1]), "expected image or image_bytes in the tf.Example; neither is there"),
        (example(image=levels[:9]), "expected 784 integers in image, or one PNG; found 9"),
        (example(image=[256, *levels[1:]]), "expected levels 0 to 255 in image; found 0 to 256"),
        (example(image_bytes=[b"x"]), "expected a PNG; the file begins otherwise"),
        (example(image=[0.5]), "expected a tf.Example with image (integers) or image_bytes"),
        (b"\xff\xff", "expected a tf.Example with image (integers) or image_bytes"),
        (example(image_bytes=[png(images[0])]), ""),
        (example(image=levels), "expected a whole record; its checksum is wrong"),
        (example(image=levels), "expected a whole file; from this record on it cannot be read"),
    ]
    file = tmp_path / "records"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record, _ in records:
            writer.write(record)
    content, length = bytearray(file.read_bytes()), len(records[-1][0]) + 16
    content[-length - 20] ^= 1  # in the data of the last but one
    file.write_bytes(content[:-9])
    assert bulk(file, max_bad=1) == 0
    found = {row["index"]: row["reason"] for row in bad_of(tmp_path / "out")}
    assert set(found) == {n for n, (_, reason) in enumerate(records) if reason}
    assert all(found[n].startswith(reason) for n, (_, reason) in enumerate(records) if reason)
    rows = rows_of(tmp_path / "out")
    assert [row["index"] for row in rows] == [0, 7]
    assert rows[0]["digit"] == rows[1]["digit"]


def test_pictures_are_prepared_as_predict_does(
    bulk: Call, tmp_path: Path, images: np.ndarray, served_digits: Path
) -> None:
    from serving.client.picture import read_digit

    folder = tmp_path / "pictures"
    folder.mkdir()
    large = np.kron(255 - images[0], np.ones((9, 9), np.uint8))
    (folder / "large.png").write_bytes(png(large))
    (folder / "blank.png").write_bytes(png(np.zeros((50, 50), np.uint8)))
    assert bulk(folder, prepare=True, max_bad=0.5) == 0
    (row,) = rows_of(tmp_path / "out")
    digit = read_digit(folder / "large.png")
    answer = tf.saved_model.load(str(served_digits / "1")).signatures["serving_default"]
    probabilities = answer(image=tf.constant(digit[None]))["probabilities"].numpy()[0]
    np.testing.assert_allclose(row["probabilities"], probabilities, atol=1e-6)
    (bad,) = bad_of(tmp_path / "out")
    assert "expected a digit, found a blank picture" in bad["reason"]


def program(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Starts the program as a user does."""
    command = [sys.executable, "-m", "pipeline", "bulk", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)


def wait_for_parts(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while len(list(folder.glob(".parts/part-*"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(
    bulk: Call, tmp_path: Path, served_digits: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    digits = data.load(data.PACKAGED).test_images
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "images.gz").write_bytes(gzip.compress(to_idx_bytes(digits), 1))
    out = tmp_path / "killed"
    options = ["--format", "jsonl", "--shard-size", "100", "--batch-size", "50"]
    process = program(tmp_path / "in", "--output", out, "--model-dir", served_digits, *options)
    wait_for_parts(out, 3, process)
    second = program(tmp_path / "in", "--output", out, "--model-dir", served_digits, *options)
    process.send_signal(signal.SIGSTOP)
    _, words = second.communicate(timeout=120)
    assert second.returncode == 2
    assert words == (
        f"{out} is in use by another run: wait until it has ended, or name another --output\n"
    )
    process.kill()
    process.communicate(timeout=30)
    before = len(list(out.glob(".parts/part-*")))
    assert 3 <= before < 100
    assert not (out / "summary.json").exists()
    assert bulk(tmp_path / "in", output=out, shard_size=100) == 0
    assert f"100 parts, {before} of them before" in capfd.readouterr().out
    assert bulk(tmp_path / "in", output=tmp_path / "whole", shard_size=100) == 0
    assert files_of(out) == files_of(tmp_path / "whole")
    assert len(rows_of(out)) == len(digits)
    assert not list(out.rglob(".incoming-*"))


def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(
    given: Path, bulk: Call, tmp_path: Path, served_digits: Path
) -> None:
    out = tmp_path / "full"
    options = ["--format", "jsonl", "--shard-size", str(SHARD), "--batch-size", "50"]
    process = program(given / "idx", "--output", out, "--model-dir", served_digits, *options)
    # No file grows over 10,000 bytes, as on a full disk.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    _, words = process.communicate(timeout=120)
    assert process.returncode == 1
    assert words.startswith(
        f"expected to write {out}/predictions/part-00000-of-00003.jsonl; File too large: make room"
    )
    assert list((out / "predictions").iterdir()) == []
    assert bulk(given / "idx", output=out) == 0
    assert bulk(given / "idx") == 0
    assert files_of(out) == files_of(tmp_path / "out")


def test_another_input_model_or_option_is_refused_and_changes_nothing(
    given: Path,
    bulk: Call,
    tmp_path: Path,
    save_digits: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(given / "png" / "0", folder)
    assert bulk(folder) == 0
    before = files_of(tmp_path / "out")
    save_digits(tmp_path / "other" / "2", seed=2)
    (folder / "0000.png").write_bytes((folder / "0001.png").read_bytes())
    out = tmp_path / "out"
    start = f"expected in {out} predictions for the same input, model and options; it has those "
    end = ": name another --output, or remove this one\n"
    for changed, words in [
        ({}, f"of another input, {folder} as it was before"),
        ({"path": given / "png" / "0", "form": "parquet"}, "with format jsonl"),
        ({"path": given / "png" / "0", "shard_size": 7}, f"with shard size {SHARD}"),
        (
            {"path": given / "png" / "0", "model_dir": tmp_path / "other"},
            "with model version 1 and by another model, version 1",
        ),
    ]:
        capfd.readouterr()
        assert bulk(changed.pop("path", folder), **changed) == 2
        assert capfd.readouterr().err == start + words + end
    assert files_of(out) == before


def test_an_input_that_changes_meanwhile_is_no_success(
    given: Path,
    bulk: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(given / "idx", tmp_path / "in")
    run = job.run

    def run_and_touch(*arguments: Any) -> None:
        run(*arguments)
        os.utime(tmp_path / "in" / "a-images", (1, 1))

    monkeypatch.setattr(job, "run", run_and_touch)
    assert bulk(tmp_path / "in") == 1
    words = f"{tmp_path}/in changed while it was read: name another --output and start again\n"
    assert capfd.readouterr().err.endswith(words)  # after the log, which pytest keeps here
    assert not (tmp_path / "out" / "summary.json").exists()


def damage(model: Path) -> None:
    file = next((model / "variables").glob("variables.data*"))
    file.write_bytes(file.read_bytes()[:100])


def test_a_damaged_model_leaves_no_output(
    given: Path,
    bulk: Call,
    tmp_path: Path,
    save_digits: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    save_digits(tmp_path / "model" / "1", bias=float("nan"))
    assert bulk(given / "idx", model_dir=tmp_path / "model") == 1
    words = f"expected a model that answers about digits in {tmp_path}/model/1; it answers"
    assert capfd.readouterr().err.startswith(words)
    damage(tmp_path / "model" / "1")
    assert bulk(given / "idx", model_dir=tmp_path / "model") == 1
    assert "it does not load: " in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_worker_of_another_process_writes_the_same(
    given: Path, bulk: Call, tmp_path: Path
) -> None:
    two = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert bulk(given / "tfrecord", beam_args=("--runner=DirectRunner", *two)) == 0
    assert "Prism" not in (tmp_path / "out" / "log.txt").read_text()
    assert bulk(given / "tfrecord", output=tmp_path / "one") == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "one")
