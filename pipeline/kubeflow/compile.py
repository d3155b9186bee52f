"""Compiles the graph of the local run for Kubeflow Pipelines v2 (pipeline spec 2.1).

TFX's runner translates the graph. What it cannot say is added to its result: the parameters of a
run, retries, and the volume, which open-source Kubeflow reads from a second YAML document.
"""

import dataclasses
import importlib.metadata
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.schema_gen import SCHEMA_FILE
from components.settings import AUTO_DEVICES
from pipeline import engines, graph
from pipeline.beam_arguments import beam_arguments
from pipeline.kubeflow import layout, resources
from pipeline.kubeflow.parameters import definitions, parameters_of, task_inputs
from pipeline.plan import ModelPlan, Plan
from pipeline.profiles import PROFILES, Profile
from pipeline.settings import model_nodes
from pipeline.workdir import Workdir

HEADER = "# Made by `mnist-tfx kubeflow compile`: edit the graph or the options, not this file.\n"
ResourceSpec = (
    pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec  # of a container
)

# Kubeflow's cache does not see what lies on the volume: these look at it in every run.
PUSHES = NEVER_CACHED = ("BaselineFinder", "VersionPusher")
ON_THE_VOLUME = ("MnistExampleGen", "Tuner", "Trainer", *PUSHES)
S3_KEYS = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}  # as Kubeflow's

Spec = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class CompileOptions:
    """What is fixed when the pipeline is compiled.

    Attributes:
      image: of every task.
      precision: in place of the profile's, or None.
      devices: of each Trainer; the machines of a cluster are no choice here.
      claim: the PersistentVolumeClaim that is mounted at `layout.MOUNT`.
      s3_endpoint: URL of the S3 server that versions are pushed to, where they are.
      s3_secret: the Secret with its `accesskey` and `secretkey`, or empty.
      beam_args: of every Beam node; `node_beam_args` follow them, by node, and win.
    """

    profile: str
    models: tuple[str, ...]
    image: str
    gpus: resources.Gpus
    precision: str | None = None
    devices: str = AUTO_DEVICES
    claim: str = layout.CLAIM
    s3_endpoint: str = ""
    s3_secret: str = ""
    beam_args: tuple[str, ...] = ()
    node_beam_args: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


def version() -> str:
    """Returns the version of this project."""
    return importlib.metadata.version(layout.PROJECT)


def default_image() -> str:
    """Returns the image of this version."""
    return f"{layout.IMAGE}:{version()}"


def compile_pipeline(options: CompileOptions) -> tuple[Spec, Spec]:
    """Returns the pipeline spec and the platform spec of Kubernetes.

    Raises:
      WrongCall: arguments of Beam are given for a node that is not there, or the devices of a
        Trainer do not fit the GPUs that it asks for.
    """
    resources.check_devices(options.devices, options.gpus)
    made = graph.create_pipeline(graph_settings(options))
    for node in made.components:
        node.with_id(layout.task_name(node.id))
    _ask_for_resources(made.components, options.gpus)
    engines.give_arguments(made.components, options.node_beam_args)
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=options.image,
        default_commands=list(layout.COMMAND),
        use_pipeline_spec_2_1=True,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=config)
    spec: Spec = runner.run(made, write_out=False)["pipelineSpec"]
    spec["pipelineInfo"]["description"] = describe(options)
    _add_parameters(spec, options.models)
    for name, task in spec["root"]["dag"]["tasks"].items():
        task["retryPolicy"] = dict(resources.RETRIES)
        if name in NEVER_CACHED:
            task["cachingOptions"] = {}
    if options.s3_endpoint:
        for name in PUSHES:
            container = spec["deploymentSpec"]["executors"][f"{name}_executor"]["container"]
            container["env"] = [{"name": "AWS_ENDPOINT_URL", "value": options.s3_endpoint}]
    return spec, _platform(spec, options)


def describe(options: CompileOptions) -> str:
    """Returns what was compiled, in one line that begins with the project and its version."""
    return f"{layout.PROJECT} {version()}, profile {options.profile}, image {options.image}"


def write(spec: Spec, platform: Spec, path: pathlib.Path) -> None:
    """Writes both as the two documents of one YAML file, which is there whole or not at all."""
    text = HEADER + yaml.safe_dump_all((spec, platform), sort_keys=True, width=1_000_000)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text)
    temporary.replace(path)


def graph_settings(options: CompileOptions) -> graph.GraphSettings:
    """Returns the settings of the graph: those of a local run, with the volume as its workdir."""
    profile = PROFILES[options.profile]
    workdir = Workdir(pathlib.Path(layout.MOUNT))
    plan = largest(profile, options.models, options.precision or profile.precision)
    return graph.GraphSettings(
        workdir=workdir,
        data="",
        sha256="",
        images=profile.images,
        models=model_nodes(profile, plan, options.models, workdir, None, devices=options.devices),
        accuracy_floor=profile.accuracy_floor,
        served_state="",
        pinned="",
        schema_text=SCHEMA_FILE.read_text(),
        beam_args=tuple(engines.complete(beam_arguments(options.beam_args))),
    )


def largest(profile: Profile, models: Sequence[str], precision: str) -> Plan:
    """Returns the plan without a time budget: nothing is known of the machine."""
    rungs = {name: profile.of(name).rungs[0] for name in models}
    return Plan({n: ModelPlan(rung, precision, 0.0) for n, rung in rungs.items()}, None)


def _ask_for_resources(nodes: Iterable[Any], gpus: resources.Gpus) -> None:
    for node in nodes:
        asked = resources.of_task(node.id)
        spec = ResourceSpec(**dataclasses.asdict(asked))
        if count := gpus.of(node.id):
            spec.accelerator.type, spec.accelerator.count = gpus.kind, count
        node.with_platform_config(spec)


def _add_parameters(spec: Spec, models: Sequence[str]) -> None:
    root = spec["root"]
    root["inputDefinitions"] = {"parameters": dict(definitions(parameters_of(models)))}
    for name, task in root["dag"]["tasks"].items():
        for key, parameter in task_inputs(name).items():
            task["inputs"]["parameters"][key] = {"componentInputParameter": parameter.name}
            defined = spec["components"][name]["inputDefinitions"].setdefault("parameters", {})
            defined[key] = {"parameterType": parameter.kind}


def _platform(spec: Spec, options: CompileOptions) -> Spec:
    """Returns what Kubernetes adds to which executor, in the form of the package kfp-kubernetes."""
    executors = {
        f"{name}_executor": json_format.MessageToDict(_of_kubernetes(name, options))
        for name in spec["root"]["dag"]["tasks"]
        if layout.kind_and_model(name)[0] in ON_THE_VOLUME
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _of_kubernetes(name: str, options: CompileOptions) -> Any:
    """Returns the volume of a task, and for those that push to a bucket its keys."""
    config = kubernetes_pb2.KubernetesExecutorConfig()
    mount = config.pvc_mount.add(mount_path=layout.MOUNT, constant=options.claim)
    mount.pvc_name_parameter.runtime_value.constant.string_value = options.claim
    if options.s3_secret and name in PUSHES:
        secret = config.secret_as_env.add(secret_name=options.s3_secret)
        for key, variable in S3_KEYS.items():
            secret.key_to_env.add(secret_key=key, env_var=variable)
    return config
