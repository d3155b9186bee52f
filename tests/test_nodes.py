"""The executors of the graph's own nodes, called as the orchestrator calls them."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.components.statistics_gen.stats_artifact_utils import BINARY_PB_BASENAME
from tfx.components.util import examples_utils, model_utils
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders import batch_util, example_coder

from components import (
    baseline,
    data,
    evaluator,
    example_gen,
    example_validator,
    pusher,
    schema_gen,
    selector,
    versions,
)
from components.evaluation_result import read_evaluation
from components.features import IMAGE, LABEL
from components.model_card import CARD_IN_MODEL
from components.serving_validator.report import (
    WARMUP_FILE,
    ServingValidation,
    Validation,
    write_validations,
)
from components.training.dataset import read_split
from components.training.run import PREDICTIONS_FILE, TRAINING_FILE
from pipeline.beam_arguments import IN_MEMORY

pytestmark = pytest.mark.slow

TRAIN, EVAL, TEST = 16, 4, 30
FLOOR = 0.5


def artifact(kind: type[types.Artifact], folder: pathlib.Path) -> Any:
    """Returns an artifact in a folder of its own, as the orchestrator makes it."""
    made = kind()
    folder.mkdir(parents=True, exist_ok=True)
    made.uri = str(folder)
    return made


def plain(executor: type[base_executor.BaseExecutor], folder: pathlib.Path) -> Any:
    return executor(executor.Context(tmp_dir=str(folder / "tmp"), unique_id="1"))


def on_beam(executor: type[base_beam_executor.BaseBeamExecutor], folder: pathlib.Path) -> Any:
    return executor(
        executor.Context(
            beam_pipeline_args=list(IN_MEMORY), tmp_dir=str(folder / "tmp"), unique_id="1"
        )
    )


def raw_data() -> data.RawData:
    """Digits of noise whose first pixel is their label."""
    random = np.random.default_rng(0)

    def images(labels: np.ndarray) -> np.ndarray:
        noise = random.integers(0, 256, (len(labels), 28, 28)).astype(np.uint8)
        noise[:, 0, 0] = labels
        return noise

    labels = [(np.arange(count) % 10).astype(np.uint8) for count in (TRAIN + EVAL, TEST)]
    return data.RawData(images(labels[0]), labels[0], images(labels[1]), labels[1])


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digits as a folder of IDX files."""
    folder = tmp_path_factory.mktemp("idx")
    raw = raw_data()
    for name, array in {
        "train-images-idx3-ubyte": raw.train_images,
        "train-labels-idx1-ubyte": raw.train_labels,
        "t10k-images-idx3-ubyte": raw.test_images,
        "t10k-labels-idx1-ubyte": raw.test_labels,
    }.items():
        (folder / name).write_bytes(data.to_idx_bytes(array))
    return str(folder)


def ingest(location: str, folder: pathlib.Path, sha256: str = "", **images: int) -> Any:
    """Runs MnistExampleGen and returns the examples."""
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    counts = {f"{name}_images": images.get(name, 0) for name in data.SPLITS}
    on_beam(example_gen.Executor, folder).Do(
        {}, {"examples": [examples]}, {"data": location, "sha256": sha256, "code": "", **counts}
    )
    return examples


@pytest.fixture(scope="module")
def examples(location: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All digits, ingested in shards of six."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_gen, "DIGITS_PER_SHARD", 6)
        return ingest(location, tmp_path_factory.mktemp("ingested"))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The committed schema, written by its node."""
    folder = tmp_path_factory.mktemp("schema")
    made = artifact(standard_artifacts.Schema, folder / "schema")
    text = schema_gen.SCHEMA_FILE.read_text()
    plain(schema_gen.Executor, folder).Do({}, {"schema": [made]}, {"schema_text": text})
    return made


def test_the_splits_are_cut_in_file_order_and_sharded(examples: Any) -> None:
    raw = raw_data()
    expected = data.split(raw, 0, 0, 0)
    assert artifact_utils.decode_split_names(examples.split_names) == ["train", "eval", "test"]
    for name, (images, labels) in expected.items():
        found = read_split(f"{artifact_utils.get_split_uri([examples], name)}/*")
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
    files = {path.parent.name: path for path in pathlib.Path(examples.uri).rglob("*.gz")}
    assert files["Split-eval"].name == "data_tfrecord-00000-of-00001.gz"
    assert len(list(pathlib.Path(examples.uri).glob("Split-train/*-of-00003.gz"))) == 3
    assert len(list(pathlib.Path(examples.uri).glob("Split-test/*-of-00005.gz"))) == 5


def test_the_fingerprint_is_the_digest_of_the_content(examples: Any) -> None:
    found = examples.get_string_custom_property(FINGERPRINT_PROPERTY_NAME)
    assert found == data.content_sha256(raw_data())
    assert examples_utils.get_payload_format(examples) == (
        example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    )
    assert examples_utils.get_file_format(examples) == "tfrecords_gzip"


def test_the_expected_digest_and_fewer_images_are_accepted(
    location: str, tmp_path: pathlib.Path
) -> None:
    digest = data.content_sha256(raw_data())
    examples = ingest(location, tmp_path, sha256=digest, train=5, eval=2, test=3)
    labels = {
        name: read_split(f"{examples.uri}/Split-{name}/*").labels.tolist() for name in data.SPLITS
    }
    assert labels == {"train": [0, 1, 2, 3, 4], "eval": [6, 7], "test": [0, 1, 2]}


def test_data_that_changed_is_refused_and_nothing_is_written(
    location: str, tmp_path: pathlib.Path
) -> None:
    expected = f"expected data with SHA-256 {'0' * 64}; got {data.content_sha256(raw_data())}"
    with pytest.raises(data.DataError, match=expected) as caught:
        ingest(location, tmp_path, sha256="0" * 64)
    assert "the files changed after the run was planned, start it again" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_that_change_while_they_are_ingested_are_refused(
    location: str, tmp_path: pathlib.Path
) -> None:
    source = example_gen.Source(location, "")
    shard = example_gen.Shard(str(tmp_path / "shard"), data.Stretch("train", 0, 1))
    example_gen.opened.cache_clear()
    stamps = example_gen.opened(source).stamps
    example_gen.write_shard(shard, source, stamps)
    assert (tmp_path / "shard").exists()
    with pytest.raises(data.DataError, match="expected the files whose digest was taken; they"):
        example_gen.write_shard(shard, source, ((1, 1), *stamps[1:]))


def test_a_split_has_a_bounded_number_of_shards() -> None:
    examples = standard_artifacts.Examples()
    examples.uri = "here"
    examples.split_names = artifact_utils.encode_split_names(["train"])
    for count, files in ((6_000, 1), (6_001, 2), (60_000_000, 10_000), (60_000_001, 9_999)):
        digits = data.Stretch("train", 5, 5 + count)
        shards = list(example_gen.shards_of(examples, "train", digits))
        assert len(shards) == files
        borders = [(shard.digits.first, shard.digits.last) for shard in shards]
        assert [first for first, _ in borders] == [5, *(last for _, last in borders[:-1])]
        assert borders[-1][1] == 5 + count


def example(**values: list[int]) -> bytes:
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    whole = tf.train.Example(features=tf.train.Features(feature=features))
    return whole.SerializeToString()


def good() -> list[bytes]:
    raw = raw_data()
    return [
        example(image=image.ravel().tolist(), label=[label])
        for image, label in zip(raw.train_images, raw.train_labels.tolist(), strict=True)
    ]


def validate(folder: pathlib.Path, schema: Any, **splits: list[bytes]) -> Any:
    """Computes statistics and runs StrictExampleValidator; returns its output."""
    # After TFX, which stands in for a part of tfx-bsl that TFDV still imports.
    from tensorflow_data_validation.statistics import stats_impl, stats_options

    statistics = artifact(standard_artifacts.ExampleStatistics, folder / "statistics")
    anomalies = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    statistics.split_names = artifact_utils.encode_split_names(list(splits))
    for name, records in splits.items():
        batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records)
        computed = stats_impl.generate_statistics_in_memory(batch, stats_options.StatsOptions())
        path = pathlib.Path(statistics.uri) / f"Split-{name}" / BINARY_PB_BASENAME
        path.parent.mkdir()
        path.write_bytes(computed.SerializeToString())
    return plain(example_validator.Executor, folder).Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {}
    )


def test_digits_that_fit_the_schema_pass(schema: Any, tmp_path: pathlib.Path) -> None:
    validate(tmp_path, schema, train=good(), eval=good(), test=good())
    files = sorted((tmp_path / "anomalies").glob("Split-*/SchemaDiff.pb"))
    assert [file.parent.name for file in files] == ["Split-eval", "Split-test", "Split-train"]
    for file in files:
        assert (
            example_validator.in_words(anomalies_pb2.Anomalies.FromString(file.read_bytes())) == []
        )


@pytest.mark.parametrize(
    ("bad", "feature", "words"),
    [
        pytest.param({"image": [256] * 784, "label": [1]}, "image", "256", id="pixel of 256"),
        pytest.param({"image": [-1] * 784, "label": [1]}, "image", "-1", id="pixel of -1"),
        pytest.param({"image": [7] * 783, "label": [1]}, "image", "shape", id="783 pixels"),
        pytest.param({"image": [7] * 784}, "label", "fewer examples", id="no label"),
        pytest.param({"label": [1]}, "image", "fewer examples", id="no image"),
        pytest.param({"image": [7] * 784, "label": [11]}, "label", "11", id="label 11"),
        pytest.param({"image": [7] * 784, "label": [1, 2]}, "label", "shape", id="two labels"),
        pytest.param(
            {"image": [7] * 784, "label": [1], "colour": [3]}, "colour", "New column", id="more"
        ),
    ],
)
def test_one_example_that_does_not_fit_stops_the_run(
    schema: Any, tmp_path: pathlib.Path, bad: dict[str, list[int]], feature: str, words: str
) -> None:
    with pytest.raises(example_validator.AnomaliesFound) as caught:
        validate(tmp_path, schema, train=good(), eval=[*good(), example(**bad)])
    start, _, anomaly = str(caught.value).partition(": ")
    assert start == "the data does not fit components/schema/mnist.pbtxt"
    assert anomaly.startswith(f"eval: {feature}: ")
    assert words in anomaly
    assert "train" not in anomaly


def test_the_anomalies_of_every_split_are_named(schema: Any, tmp_path: pathlib.Path) -> None:
    bad = [*good(), example(image=[256] * 784, label=[11])]
    with pytest.raises(example_validator.AnomaliesFound) as caught:
        validate(tmp_path, schema, train=bad, eval=good(), test=bad)
    message = str(caught.value)
    for start in ("train: image", "train: label", "test: image", "test: label"):
        assert f"{start}: " in message
    assert "eval" not in message


class Answering(tf.Module):
    """A model that reads the label from the first pixel, but answers no digit above `highest`."""

    def __init__(self, highest: int) -> None:
        super().__init__()
        self._highest = highest

    def _answer(self, label: tf.Tensor) -> dict[str, tf.Tensor]:
        digit = tf.minimum(tf.cast(label, tf.int64), self._highest)
        return {"probabilities": tf.one_hot(digit, 10) * 0.9 + 0.01, "digit": digit}

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.uint8, "image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(image[:, 0, 0])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "examples")])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {IMAGE: tf.io.FixedLenFeature((28, 28), tf.int64)}
        return self._answer(tf.io.parse_example(examples, spec)[IMAGE][:, 0, 0])


def model_of(folder: pathlib.Path, highest: int) -> Any:
    """Returns a Model artifact as the Trainer writes it."""
    made = artifact(standard_artifacts.Model, folder)
    answering = Answering(highest)
    signatures = {
        "serving_default": answering.serving_default,
        "examples": answering.examples,
    }
    tf.saved_model.save(answering, str(folder / "Format-Serving"), signatures=signatures)
    return made


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that is always right."""
    return model_of(tmp_path_factory.mktemp("right") / "model", highest=9)


@pytest.fixture(scope="module")
def almost(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that takes every 9 for an 8."""
    return model_of(tmp_path_factory.mktemp("almost") / "model", highest=8)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that answers 0 for every digit."""
    return model_of(tmp_path_factory.mktemp("wrong") / "model", highest=0)


def find_baseline(serving: pathlib.Path, folder: pathlib.Path, pinned: str = "") -> Any:
    found = artifact(standard_artifacts.Model, folder / "baseline")
    told = {"serving_dir": str(serving), "served_state": "", "pinned": pinned, "code": ""}
    plain(baseline.Executor, folder).Do({}, {"model": [found]}, told)
    return found


def test_on_a_first_run_the_baseline_is_empty(tmp_path: pathlib.Path) -> None:
    found = find_baseline(tmp_path / "serving", tmp_path)
    assert baseline.is_empty(found)
    assert found.get_int_custom_property(baseline.VERSION) == 0
    assert list(pathlib.Path(found.uri).iterdir()) == []


def test_the_baseline_is_a_copy_of_the_newest_complete_version(
    right: Any, wrong: Any, tmp_path: pathlib.Path
) -> None:
    serving = tmp_path / "serving"
    versions.push(pathlib.Path(wrong.uri) / "Format-Serving", serving)
    newest = versions.push(pathlib.Path(right.uri) / "Format-Serving", serving)
    (serving / str(newest + 1)).mkdir()
    found = find_baseline(serving, tmp_path)
    assert not baseline.is_empty(found)
    assert found.get_int_custom_property(baseline.VERSION) == newest
    copied = pathlib.Path(found.uri) / "Format-Serving" / "saved_model.pb"
    assert copied.read_bytes() == (serving / str(newest) / "saved_model.pb").read_bytes()


@pytest.mark.parametrize(("pinned", "version"), [("7", 7), ("0", 0)])
def test_the_baseline_of_a_pinned_folder_is_the_pinned_version(
    pinned: str, version: int, tmp_path: pathlib.Path
) -> None:
    serving = tmp_path / "serving"
    for number in (7, 8):
        (serving / str(number)).mkdir(parents=True)
        (serving / str(number) / "saved_model.pb").write_text(str(number))
    found = find_baseline(serving, tmp_path, pinned)
    assert found.get_int_custom_property(baseline.VERSION) == version
    assert baseline.is_empty(found) == (version == 0)
    if version:
        copied = pathlib.Path(found.uri) / "Format-Serving" / "saved_model.pb"
        assert copied.read_text() == str(version)


def blessing_of(folder: pathlib.Path, blessed: bool) -> Any:
    made = artifact(standard_artifacts.ModelBlessing, folder)
    made.set_int_custom_property("blessed", int(blessed))
    return made


def push(folder: pathlib.Path, model: Any, blessed: bool = True) -> Any:
    """Runs VersionPusher towards `folder/serving` and returns what it says of the push."""
    pushed = artifact(standard_artifacts.PushedModel, folder / "pushed")
    plain(pusher.Executor, folder).Do(
        {"model": [model], "model_blessing": [blessing_of(folder / "blessing", blessed)]},
        {"pushed_model": [pushed]},
        {"serving_dir": str(folder / "serving"), "code": ""},
    )
    return pushed


def version_of(pushed: Any) -> int:
    assert pushed.get_int_custom_property(pusher.PUSHED) == 1
    return int(pushed.get_string_custom_property(pusher.VERSION))


def test_a_model_that_is_not_blessed_is_not_pushed(right: Any, tmp_path: pathlib.Path) -> None:
    pushed = push(tmp_path, right, blessed=False)
    assert pushed.get_int_custom_property(pusher.PUSHED) == 0
    assert not pushed.has_custom_property(pusher.VERSION)
    assert not (tmp_path / "serving").exists()


def test_a_blessed_model_becomes_a_version_that_answers(right: Any, tmp_path: pathlib.Path) -> None:
    version = version_of(push(tmp_path, right))
    assert versions.versions(tmp_path / "serving") == [version]
    served = tf.saved_model.load(str(tmp_path / "serving" / str(version)))
    answer = served.signatures["serving_default"](image=tf.constant(raw_data().test_images[:3]))
    assert answer["digit"].numpy().tolist() == [0, 1, 2]


def test_the_same_model_is_not_pushed_twice_and_versions_only_grow(
    right: Any, wrong: Any, tmp_path: pathlib.Path
) -> None:
    first = version_of(push(tmp_path, right))
    assert version_of(push(tmp_path, right)) == first
    assert versions.versions(tmp_path / "serving") == [first]
    second = version_of(push(tmp_path, wrong))
    third = version_of(push(tmp_path, right))
    assert versions.versions(tmp_path / "serving") == [first, second, third]
    assert first < second < third


def evaluate(
    folder: pathlib.Path, model: Any, served: Any, examples: Any, schema: Any
) -> tuple[Any, Any]:
    """Runs ComparingEvaluator; returns evaluation and blessing."""
    evaluation = artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    inputs = {"model": model, "baseline_model": served, "examples": examples, "schema": schema}
    config = evaluator.evaluation_config(FLOOR)
    on_beam(evaluator.Executor, folder).Do(
        {name: [value] for name, value in inputs.items()},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(config, preserving_proto_field_name=True),
            "example_splits": '["test"]',
            "fairness_indicator_thresholds": "null",
            "code": "",
        },
    )
    return evaluation, blessing


@pytest.fixture(scope="module")
def first_evaluation(
    almost: Any, examples: Any, schema: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """The almost right model with nothing to compare it to."""
    folder = tmp_path_factory.mktemp("first")
    nothing = artifact(standard_artifacts.Model, folder / "nothing")
    return evaluate(folder, almost, nothing, examples, schema)


@pytest.fixture(scope="module")
def second_evaluation(
    right: Any, wrong: Any, examples: Any, schema: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """The wrong model against the right one."""
    return evaluate(tmp_path_factory.mktemp("second"), wrong, right, examples, schema)


def test_a_good_model_is_blessed_on_a_first_run_though_a_digit_is_below_the_floor(
    first_evaluation: tuple[Any, Any],
) -> None:
    evaluation, blessing = first_evaluation
    assert model_utils.is_model_blessed(blessing)
    found = read_evaluation(evaluation.uri)
    assert (found.accuracy, found.failures) == (pytest.approx(0.9), [])
    assert found.loss == pytest.approx(-0.9 * np.log(0.91) - 0.1 * np.log(0.01), abs=1e-3)
    assert found.accuracy_by_digit == {str(digit): float(digit != 9) for digit in range(10)}
    assert (found.images, found.images_by_digit) == (TEST, {str(d): TEST // 10 for d in range(10)})


def test_a_bad_model_is_not_blessed_and_it_is_said_why(second_evaluation: tuple[Any, Any]) -> None:
    evaluation, blessing = second_evaluation
    assert not model_utils.is_model_blessed(blessing)
    found = read_evaluation(evaluation.uri)
    assert found.accuracy == pytest.approx(0.1)
    assert found.accuracy_by_digit == {str(digit): float(digit == 0) for digit in range(10)}
    margin = f"{evaluator.chance_margin(TEST):.2%}"  # of the images that the examples tell of
    assert sorted(found.failures) == [
        f"test accuracy 10.00% is below the floor of {FLOOR:.2%}",
        f"test accuracy is 90.00% below the served model's; chance explains at most {margin}",
    ]


def test_a_model_is_asked_about_a_fixed_number_of_digits_at_once(
    right: Any, examples: Any, schema: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFX-BSL tunes the number by time: only large sets would show what it comes to."""
    sizes = []
    batch = batch_util.beam.BatchElements

    def batch_elements(**kwargs: Any) -> Any:
        sizes.append(kwargs)
        return batch(**kwargs)

    monkeypatch.setattr(batch_util.beam, "BatchElements", batch_elements)
    nothing = artifact(standard_artifacts.Model, tmp_path / "nothing")
    evaluation, _ = evaluate(tmp_path, right, nothing, examples, schema)
    assert {"min_batch_size": evaluator.BATCH, "max_batch_size": evaluator.BATCH} in sizes
    assert all("target_batch_overhead" not in kwargs for kwargs in sizes)
    assert read_evaluation(evaluation.uri).images == TEST


def test_the_margin_is_what_chance_explains_at_99_percent() -> None:
    assert evaluator.chance_margin(10_000) == pytest.approx(0.002758, abs=1e-6)
    assert evaluator.chance_margin(40_000) == pytest.approx(0.002758 / 2, abs=1e-6)


def test_the_evaluation_has_a_floor_a_margin_and_slices_by_digit() -> None:
    text = json_format.MessageToJson(evaluator.evaluation_config(0.95))
    config = json_format.Parse(evaluator.with_margin(text, 10_000), tfma.EvalConfig())
    (accuracy,) = [m for m in config.metrics_specs[0].metrics if m.per_slice_thresholds]
    assert accuracy.class_name == "SparseCategoricalAccuracy"
    (least,) = accuracy.per_slice_thresholds
    assert [list(spec.feature_keys) for spec in least.slicing_specs] == [[]]
    assert least.threshold.value_threshold.lower_bound.value == 0.95
    change = least.threshold.change_threshold
    assert change.absolute.value == -evaluator.chance_margin(10_000)
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [[], [LABEL]]
    models = {spec.name: (spec.is_baseline, spec.signature_name) for spec in config.model_specs}
    assert models == {"candidate": (False, "examples"), "baseline": (True, "examples")}


def run_of(folder: pathlib.Path, name: str, right: int) -> Any:
    """Returns a ModelRun as the Trainer writes it, with `right` of 100 answers right."""
    made = artifact(standard_artifacts.ModelRun, folder)
    history = [
        {"loss": 1.0, "accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.6},
        {"loss": 0.2, "accuracy": 0.9, "val_loss": 0.3, "val_accuracy": right / 100},
    ]
    training = {"name": name, "params": 12, "best_epoch": 2, "history": history}
    (folder / TRAINING_FILE).write_text(json.dumps(training))
    labels = np.arange(100) % 10
    answers = np.where(np.arange(100) < right, labels, (labels + 1) % 10)
    np.savez(folder / PREDICTIONS_FILE, probabilities=np.eye(10)[answers], labels=labels)
    return made


def select(folder: pathlib.Path, inputs: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Runs ModelSelector; returns its outputs and the comparison."""
    outputs = {
        "model": artifact(standard_artifacts.Model, folder / "model"),
        "blessing": artifact(standard_artifacts.ModelBlessing, folder / "blessing"),
        "comparison": artifact(selector.ModelComparison, folder / "comparison"),
    }
    plain(selector.Executor, folder).Do(
        {name: [value] for name, value in inputs.items()},
        {name: [value] for name, value in outputs.items()},
        {"names": json.dumps(list(names)), "code": ""},
    )
    text = (folder / "comparison" / selector.COMPARISON_FILE).read_text()
    return {**outputs, "comparison": json.loads(text)}


def validation_of(folder: pathlib.Path, **faults: str) -> Any:
    """Returns what ServingValidator writes of alexnet-book and vgg16, each with a fault or none."""
    made = artifact(ServingValidation, folder)
    found = {
        name: Validation(fault, None if fault else 3.5)
        for name in ("alexnet-book", "vgg16")
        for fault in [faults.get(name.replace("-", "_"), "")]
    }
    write_validations(folder, found)
    (folder / WARMUP_FILE).parent.mkdir()
    (folder / WARMUP_FILE).write_bytes(b"records")
    return made


@pytest.fixture
def candidates(
    almost: Any,
    wrong: Any,
    first_evaluation: tuple[Any, Any],
    second_evaluation: tuple[Any, Any],
    examples: Any,
    tmp_path: pathlib.Path,
) -> dict[str, Any]:
    """What the nodes of `alexnet-book` (blessed) and `vgg16` (not blessed) wrote."""
    trials = artifact(standard_artifacts.TunerResults, tmp_path / "trials")
    (tmp_path / "trials" / "tuner_results.json").write_text('[{"trial_id": "0"}]')
    return {
        "model_alexnet_book": almost,
        "run_alexnet_book": run_of(tmp_path / "run1", "alexnet-book", 97),
        "evaluation_alexnet_book": first_evaluation[0],
        "blessing_alexnet_book": first_evaluation[1],
        "trials_alexnet_book": trials,
        "model_vgg16": wrong,
        "run_vgg16": run_of(tmp_path / "run2", "vgg16", 99),
        "evaluation_vgg16": second_evaluation[0],
        "blessing_vgg16": second_evaluation[1],
        "validation": validation_of(tmp_path / "validation"),
        "examples": examples,
    }


def test_the_blessed_model_wins_and_is_handed_on(
    candidates: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    found = select(tmp_path, candidates, ["alexnet-book", "vgg16"])
    comparison = found["comparison"]
    assert (comparison["winner"], comparison["blessed"]) == ("alexnet-book", True)
    assert model_utils.is_model_blessed(found["blessing"])
    assert (tmp_path / "model" / "Format-Serving" / "saved_model.pb").is_file()
    winner, loser = comparison["models"]
    assert comparison["reason"] == winner["reason"]
    assert winner["reason"].startswith("97.00% on 100 images of eval")
    assert (winner["status"], loser["status"]) == ("winner", "not blessed")
    assert "is below the floor of 50.00%" in loser["reason"]
    figures = ("train_accuracy", "train_loss", "eval_accuracy", "eval_loss", "test_accuracy")
    assert [winner[name] for name in figures] == [0.9, 0.2, 0.97, 0.3, pytest.approx(0.9)]
    assert winner["trials"] == [{"trial_id": "0"}]
    assert loser["trials"] == []
    assert winner["latency_ms"] == 3.5
    assert (tmp_path / "model" / "Format-Serving" / WARMUP_FILE).read_bytes() == b"records"
    assert winner["model_bytes"] > 1000
    assert winner["test_images_by_digit"] == {str(digit): TEST // 10 for digit in range(10)}
    card = (tmp_path / "model" / "Format-Serving" / CARD_IN_MODEL).read_text()
    assert card.startswith("# Model card: alexnet-book")
    assert data.content_sha256(raw_data()) in card
    assert (tmp_path / "comparison" / "MODEL_CARD.md").read_text() == card


def test_where_no_model_is_blessed_none_is_handed_on(
    candidates: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    found = select(tmp_path, candidates, ["vgg16"])
    comparison = found["comparison"]
    assert (comparison["winner"], comparison["blessed"]) == (None, False)
    assert comparison["reason"].startswith("no model was blessed and servable (vgg16: test")
    assert not model_utils.is_model_blessed(found["blessing"])
    assert list((tmp_path / "model").iterdir()) == []
    assert not (tmp_path / "comparison" / "MODEL_CARD.md").exists()


@pytest.fixture
def two_blessed(
    candidates: dict[str, Any], right: Any, first_evaluation: tuple[Any, Any]
) -> dict[str, Any]:
    """As `candidates`, but both are blessed; vgg16 has more right answers."""
    evaluation, blessing = first_evaluation
    better = {"model_vgg16": right, "evaluation_vgg16": evaluation, "blessing_vgg16": blessing}
    return {**candidates, **better}


def test_where_the_best_is_not_servable_the_next_one_wins(
    two_blessed: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    faulty = validation_of(tmp_path / "faulty", vgg16="png: it answers NaN")
    found = select(tmp_path, {**two_blessed, "validation": faulty}, ["alexnet-book", "vgg16"])
    comparison = found["comparison"]
    assert (comparison["winner"], comparison["blessed"]) == ("alexnet-book", True)
    _, loser = comparison["models"]
    assert (loser["status"], loser["latency_ms"]) == ("not servable", None)
    assert loser["reason"] == "not servable: png: it answers NaN"


def test_a_sick_model_is_not_chosen_though_it_is_blessed_and_the_best(
    two_blessed: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    file = pathlib.Path(two_blessed["run_vgg16"].uri) / TRAINING_FILE
    words = "collapsed to one class: it answers 1 for 100% of eval"
    sick = {"state": "collapsed to one class", "sick": True, "words": words}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"diagnosis": sick}))
    comparison = select(tmp_path, two_blessed, ["alexnet-book", "vgg16"])["comparison"]
    assert comparison["winner"] == "alexnet-book"
    loser = comparison["models"][1]
    assert (loser["status"], loser["reason"]) == ("sick", f"sick: {words}")


def test_a_model_that_is_sick_alone_is_not_blessed(
    two_blessed: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    file = pathlib.Path(two_blessed["run_vgg16"].uri) / TRAINING_FILE
    sick = {"state": "frozen", "sick": True, "words": "frozen: conv2d is not trainable"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"diagnosis": sick}))
    found = select(tmp_path, two_blessed, ["vgg16"])
    assert found["comparison"]["winner"] is None
    assert not model_utils.is_model_blessed(found["blessing"])


def test_where_no_model_is_servable_none_is_handed_on(
    two_blessed: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    faulty = validation_of(tmp_path / "faulty", vgg16="it hangs", alexnet_book="it is mute")
    found = select(tmp_path, {**two_blessed, "validation": faulty}, ["alexnet-book", "vgg16"])
    assert not model_utils.is_model_blessed(found["blessing"])
    assert list((tmp_path / "model").iterdir()) == []
    assert found["comparison"]["reason"] == (
        "no model was blessed and servable (alexnet-book: not servable: it is mute; "
        "vgg16: not servable: it hangs)"
    )


def test_a_model_that_is_neither_blessed_nor_servable_says_both(
    candidates: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    faulty = validation_of(tmp_path / "faulty", vgg16="it is mute")
    found = select(tmp_path, {**candidates, "validation": faulty}, ["alexnet-book", "vgg16"])
    loser = found["comparison"]["models"][1]
    assert loser["status"] == "not blessed"
    assert "below the floor" in loser["reason"]
    assert loser["reason"].endswith("; not servable: it is mute")
