"""Which models are served with their weights as constants, and that no other loses its state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    """`loaded(function, **state)` saves and loads a model of one signature from float to float."""
    import tensorflow as tf

    from serving.engine import LoadedModel

    models = []

    def load(function: Callable[[Any, Any], Any], **state: Any) -> LoadedModel:
        module = tf.Module()
        for name, value in state.items():
            setattr(module, name, value)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
        def serving_default(x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": function(module, x)}

        folder = tmp_path / str(len(models))
        signatures = {"serving_default": serving_default}
        tf.saved_model.save(module, str(folder), signatures=signatures)
        models.append(LoadedModel(folder))
        return models[-1]

    yield load
    for model in models:
        model.close()


def ask(model: Any, *x: float) -> list[float]:
    answer = model.run("serving_default", {"x": np.array(x, np.float32)})["y"]
    return [float(value) for value in answer]


def has_variables(model: Any) -> bool:
    return any(node.op == "VarHandleOp" for node in model._session.graph.as_graph_def().node)


def test_weights_become_constants(loaded: Any) -> None:
    import tensorflow as tf

    model = loaded(lambda module, x: x * module.weight, weight=tf.Variable(3.0))
    assert not has_variables(model)
    assert ask(model, 1, 2) == [3, 6]


def test_weights_within_a_loop_become_constants(loaded: Any) -> None:
    import tensorflow as tf

    def each(module: Any, x: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda value: value + module.weight, x)

    model = loaded(each, weight=tf.Variable(3.0))
    assert not has_variables(model)
    assert ask(model, 1, 2) == [4, 5]


def test_a_digit_model_is_frozen(served_digits: Path) -> None:
    from serving.engine import LoadedModel

    model = LoadedModel(served_digits / "1")
    assert not has_variables(model)
    model.close()


def test_a_model_that_counts_goes_on_counting(loaded: Any) -> None:
    import tensorflow as tf

    model = loaded(lambda module, x: x + module.asked.assign_add(1), asked=tf.Variable(0.0))
    assert [ask(model, 10) for _ in range(3)] == [[11], [12], [13]]


def test_a_model_with_a_table_keeps_it(loaded: Any) -> None:
    import tensorflow as tf

    names = tf.lookup.KeyValueTensorInitializer(["7"], [70.0])
    table = tf.lookup.StaticHashTable(names, -1.0)

    def look_up(module: Any, x: tf.Tensor) -> tf.Tensor:
        return module.table.lookup(tf.strings.as_string(tf.cast(x, tf.int32))) * module.weight

    model = loaded(look_up, table=table, weight=tf.Variable(2.0))
    assert ask(model, 7, 8) == [140, -2]


def test_a_model_without_weights_and_one_with_too_many_are_served(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from serving import freezing

    assert ask(loaded(lambda module, x: x + 1), 1) == [2]
    monkeypatch.setattr(freezing, "MOST_BYTES", 3)
    model = loaded(lambda module, x: x * module.weight, weight=tf.Variable(3.0))
    assert has_variables(model)
    assert ask(model, 1) == [3]


def test_an_input_that_no_output_needs_may_be_given(tmp_path: Path) -> None:
    import tensorflow as tf

    from serving.engine import LoadedModel

    module = tf.Module()
    module.weight = tf.Variable(3.0)
    spec = tf.TensorSpec((None,), tf.float32)

    @tf.function(input_signature=[spec, spec])
    def serving_default(x: tf.Tensor, unused: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * module.weight}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serving_default})
    model = LoadedModel(tmp_path)
    x = np.array([2], np.float32)
    assert model.run("serving_default", {"x": x, "unused": x})["y"].tolist() == [6]
    model.close()
