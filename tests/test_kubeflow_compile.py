"""The compiled pipeline: the graph of a local run, in what open-source Kubeflow understands."""

import dataclasses
import json
import pathlib
import re
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import engines, graph
from pipeline.kubeflow import compile as compiler
from pipeline.kubeflow import compiled, layout, parameters
from pipeline.kubeflow.resources import Gpus
from pipeline.wrong_call import WrongCall

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT / layout.COMPILED
MODELS = ("sequential", "alexnet", "vgg16")
ARGO_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")  # of a task, in Argo's validation
MOST_OF_AN_ARGUMENT = 131_072  # bytes of one argument of a program, MAX_ARG_STRLEN of Linux


def options(**changes: Any) -> compiler.CompileOptions:
    whole = compiler.CompileOptions(
        profile="gpu",
        models=MODELS,
        image=compiler.default_image(),
        gpus=Gpus("nvidia.com/gpu", 1),
    )
    return dataclasses.replace(whole, **changes)


@pytest.fixture(scope="module")
def made() -> compiled.Compiled:
    return compiled.Compiled(*compiler.compile_pipeline(options()))


def without_versions(text: str) -> str:
    return re.sub(r"(mnist-tfx|tfx)([- :])\d+\.\d+\.\d+", r"\1\2X", text)


def test_the_file_in_the_repository_is_what_is_compiled(
    made: compiled.Compiled, tmp_path: pathlib.Path
) -> None:
    compiler.write(made.spec, made.platform, tmp_path / "mnist.yaml")
    found = without_versions((tmp_path / "mnist.yaml").read_text())
    assert found == without_versions(GOLDEN.read_text()), "run `make kubeflow` and look at the diff"


def test_the_file_is_read_back(made: compiled.Compiled) -> None:
    found = compiled.read(GOLDEN, compiler.version())
    assert [*found.tasks] == [*made.tasks]
    assert (found.name, found.profile) == ("mnist", "gpu")


def test_the_spec_is_a_pipeline_spec_of_kfp(made: compiled.Compiled) -> None:
    parsed = json_format.ParseDict(made.spec, pipeline_spec_pb2.PipelineSpec())
    assert parsed.schema_version == "2.1.0"
    for executor in made.spec["deploymentSpec"]["executors"].values():
        json_format.ParseDict(executor, pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec())


def test_the_platform_is_kubernetes_configuration_of_kfp(made: compiled.Compiled) -> None:
    executors = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) <= set(made.spec["deploymentSpec"]["executors"])
    for executor in executors.values():
        json_format.ParseDict(executor, kubernetes_pb2.KubernetesExecutorConfig())


def test_the_tasks_are_the_nodes_of_the_local_graph(made: compiled.Compiled) -> None:
    nodes = graph.create_pipeline(compiler.graph_settings(options())).components
    assert sorted(made.tasks) == sorted(layout.task_name(node.id) for node in nodes)
    for node in nodes:
        task = made.tasks[layout.task_name(node.id)]
        upstream = {layout.task_name(other.id) for other in node.upstream_nodes}
        assert set(task.get("dependentTasks", [])) == upstream


def test_the_beam_nodes_are_those_that_may_be_named_on_the_command_line() -> None:
    asked = options()
    nodes = graph.create_pipeline(compiler.graph_settings(asked)).components
    beam = [node.id for node in nodes if hasattr(node, "with_beam_pipeline_args")]
    assert sorted(beam) == sorted(engines.beam_nodes(asked.models))


def test_every_task_is_a_container_and_relies_on_no_check_before_the_cache(
    made: compiled.Compiled,
) -> None:
    for executor in made.spec["deploymentSpec"]["executors"].values():
        assert set(executor) == {"container"}
        assert "lifecycle" not in executor["container"]


def test_names_are_those_that_argo_takes(made: compiled.Compiled) -> None:
    assert [name for name in made.tasks if not ARGO_NAME.fullmatch(name)] == []
    assert [name for name in made.spec["components"] if not ARGO_NAME.fullmatch(name)] == []


def test_the_command_is_the_entry_point_that_is_there(made: compiled.Compiled) -> None:
    for task in made.tasks.values():
        program, script = made.container(task)["command"]
        assert program == "python"
        assert (ROOT / script).is_file()


def test_nothing_of_the_machine_that_compiled_is_in_it(made: compiled.Compiled) -> None:
    text = json.dumps([made.spec, made.platform])
    assert str(ROOT) not in text
    assert str(pathlib.Path.home()) not in text


def test_an_argument_fits_into_a_program_s_arguments(made: compiled.Compiled) -> None:
    """The ExecutorInput has the schema of each artifact and every value of a task."""
    for task in made.tasks.values():
        component = made.component(task)
        assert len(json.dumps([component, task])) < MOST_OF_AN_ARGUMENT / 4


def test_a_run_has_the_parameters_that_users_may_want_to_set(made: compiled.Compiled) -> None:
    assert {name: p["parameterType"] for name, p in made.parameters.items()} == {
        **{p.name: p.kind for p in parameters.COMMON},
        "train_sequential": "BOOLEAN",
        "train_alexnet": "BOOLEAN",
        "train_vgg16": "BOOLEAN",
    }


def test_every_parameter_is_an_input_of_some_task(made: compiled.Compiled) -> None:
    used = {
        source["componentInputParameter"]
        for task in made.tasks.values()
        for source in task["inputs"]["parameters"].values()
        if "componentInputParameter" in source
    }
    assert used == set(made.parameters)


def test_every_input_of_a_task_is_defined_by_its_component(made: compiled.Compiled) -> None:
    for task in made.tasks.values():
        defined = made.component(task).get("inputDefinitions", {})
        for kind in ("parameters", "artifacts"):
            assert set(task["inputs"].get(kind, {})) == set(defined.get(kind, {}))


def resources(made: compiled.Compiled, name: str) -> dict[str, Any]:
    found: dict[str, Any] = made.container(made.tasks[name])["resources"]
    return found


def test_tuners_and_trainers_ask_for_gpus_and_nothing_else_does(made: compiled.Compiled) -> None:
    with_gpu = {name for name in made.tasks if "accelerator" in resources(made, name)}
    assert with_gpu == {f"{kind}-{m}" for kind in ("Tuner", "Trainer") for m in MODELS}
    assert resources(made, "Trainer-vgg16")["accelerator"] == {
        "type": "nvidia.com/gpu",
        "count": "1",
    }


def test_every_task_asks_for_cpus_and_memory_below_its_limits(made: compiled.Compiled) -> None:
    for name in made.tasks:
        asked = resources(made, name)
        assert 0 < asked["cpuRequest"] <= asked["cpuLimit"]
        assert 0 < asked["memoryRequest"] <= asked["memoryLimit"]


def test_type_and_count_of_the_gpus_are_settings_and_none_is_one() -> None:
    two = compiled.Compiled(*compiler.compile_pipeline(options(gpus=Gpus("amd.com/gpu", 2))))
    assert resources(two, "Tuner-alexnet")["accelerator"] == {"type": "amd.com/gpu", "count": "2"}
    none = compiled.Compiled(*compiler.compile_pipeline(options(gpus=Gpus("nvidia.com/gpu", 0))))
    assert all("accelerator" not in resources(none, name) for name in none.tasks)


def test_a_trainer_may_ask_for_more_gpus_than_a_tuner() -> None:
    gpus = Gpus("nvidia.com/gpu", 1, of_trainer=4)
    made = compiled.Compiled(*compiler.compile_pipeline(options(gpus=gpus, devices="mirrored")))
    asked = {
        name: resources(made, name)["accelerator"]["count"]
        for name in made.tasks
        if "accelerator" in resources(made, name)
    }
    assert asked == {f"{k}-{m}": n for k, n in (("Tuner", "1"), ("Trainer", "4")) for m in MODELS}
    assert told(made, "Trainer-vgg16")["model"]["devices"] == "mirrored"
    assert told(made, "Tuner-vgg16")["model"]["devices"] == "auto"


def told(made: compiled.Compiled, name: str) -> dict[str, Any]:
    """Returns the settings of a Tuner or Trainer."""
    value = made.tasks[name]["inputs"]["parameters"]["custom_config"]["runtimeValue"]["constant"]
    found: dict[str, Any] = json.loads(value)
    return found


@pytest.mark.parametrize(
    ("devices", "of_trainer", "words"),
    [
        ("mirrored", None, "at least 2 GPUs a Trainer with --devices mirrored; got 1: say"),
        ("mirrored", 0, "at least 2 GPUs a Trainer with --devices mirrored; got 0: say"),
        ("one", 4, "at most 1 GPU a Trainer with --devices one; got 4, of which the others"),
    ],
)
def test_gpus_that_do_not_fit_the_devices_are_a_wrong_call(
    devices: str, of_trainer: int | None, words: str
) -> None:
    gpus = Gpus("nvidia.com/gpu", 1, of_trainer)
    with pytest.raises(WrongCall, match=words):
        compiler.compile_pipeline(options(gpus=gpus, devices=devices))


def test_every_task_is_tried_again_and_all_but_those_on_the_folder_are_cached(
    made: compiled.Compiled,
) -> None:
    for name, task in made.tasks.items():
        assert task["retryPolicy"]["maxRetryCount"] == 2
        cached = task["cachingOptions"].get("enableCache", False)
        assert cached == (name not in ("BaselineFinder", "VersionPusher"))


def test_the_volume_is_where_data_state_and_versions_are(made: compiled.Compiled) -> None:
    with_volume = {name for name, task in made.tasks.items() if made.claims(task)}
    per_model = {f"{kind}-{m}" for kind in ("Tuner", "Trainer") for m in MODELS}
    assert with_volume == {"MnistExampleGen", "BaselineFinder", "VersionPusher", *per_model}


def test_keys_of_a_bucket_come_from_a_secret_and_reach_those_that_push_alone() -> None:
    made = compiled.Compiled(
        *compiler.compile_pipeline(options(s3_endpoint="http://minio:9000", s3_secret="keys"))
    )
    executors = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    secrets = {name: e["secretAsEnv"] for name, e in executors.items() if "secretAsEnv" in e}
    assert set(secrets) == {"BaselineFinder_executor", "VersionPusher_executor"}
    (secret,) = secrets["VersionPusher_executor"]
    assert secret["secretName"] == "keys"
    assert made.container(made.tasks["VersionPusher"])["env"] == [
        {"name": "AWS_ENDPOINT_URL", "value": "http://minio:9000"}
    ]


def test_arguments_of_beam_are_of_all_nodes_or_of_one() -> None:
    made = compiled.Compiled(
        *compiler.compile_pipeline(
            options(
                beam_args=("--runner=SparkRunner",),
                node_beam_args={"StatisticsGen": ["--runner=FlinkRunner", "--parallelism=4"]},
            )
        )
    )

    def runners(name: str) -> list[str]:
        arguments = made.container(made.tasks[name])["args"]
        return [a for a in arguments if a.startswith(("--runner", "--parallelism"))]

    assert runners("StatisticsGen") == [
        "--runner=SparkRunner",
        "--runner=FlinkRunner",  # of two, Beam takes the later
        "--parallelism=4",
    ]
    assert runners("MnistExampleGen") == ["--runner=SparkRunner"]


def test_arguments_of_beam_for_a_node_that_has_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a Beam node of .*StatisticsGen.*got 'Nothing'"):
        compiler.compile_pipeline(options(node_beam_args={"Nothing": ["--x"]}))


def test_a_failed_write_leaves_the_file_as_it_was(
    made: compiled.Compiled, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "mnist.yaml"
    file.write_text("before")
    with pytest.raises(yaml.YAMLError):
        compiler.write({"a": object()}, made.platform, file)
    assert file.read_text() == "before"
