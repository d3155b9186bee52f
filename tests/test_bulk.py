"""The command `bulk` on real files and a small model: what it writes, refuses and goes on with."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest
import tensorflow as tf
from PIL import Image

from components import data
from components.data import to_idx_bytes
from components.example_gen import to_examples
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
