"""The manifests: valid for Kubernetes, of the restricted profile, and of one mind with serving/."""

import copy
import functools
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.kubeflow import layout
from serving import model_config
from serving.options import MIB, Limits

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "kubeflow" / "manifests"
FILES = MANIFESTS / "common" / "files"
TF_SERVING = ROOT / "serving" / "tf_serving"
OURS = ("cpu", "gpu")  # a Deployment of ours; the other way is KServe
FLAVOURS = (*OURS, "kserve")
VERSIONS = ("1.31", "1.37")
BASE = Path(layout.MOUNT) / "serving" / "mnist"
DIGEST = re.compile(r"(mnist-tfx-serving)-[a-z0-9]{10}\b")
LIMITER = {"cpu": "limiter", "gpu": "limiter", "kserve": "kserve-container"}
# ComponentExtensionSpec of KServe's v1beta1, as far as it is used; what remains is a pod's spec.
OF_KSERVE = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}

Object = dict[str, Any]


def read(file: Path) -> list[Object]:
    return [*yaml.safe_load_all(file.read_text())]


def resolve(folder: Path) -> list[Object]:
    """Returns what kustomize makes of a folder, without the digests in names.

    Done by hand, so that machines without kustomize check the same objects; where it is there,
    a test compares. What is not used here is refused.
    """
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert {*asked} <= {
        *("apiVersion", "kind", "resources", "configMapGenerator", "labels", "images"),
        *("patches", "configurations"),
    }
    places = [folder / name for name in asked["resources"]]
    objects = [one for p in places for one in (resolve(p) if p.is_dir() else read(p))]
    objects += [generated(folder, one) for one in asked.get("configMapGenerator", [])]
    for patch in asked.get("patches", []):
        (change,) = read(folder / patch["path"])
        (target,) = [one for one in objects if key_of(one) == key_of(change)]
        merge(target, change)
    for image in asked.get("images", []):
        for container in (c for one in objects for c in containers(one)):
            name, _, _ = container["image"].rpartition(":")
            if name == image["name"]:
                container["image"] = f"{name}:{image['newTag']}"
    for label in asked.get("labels", []):
        for one in objects:
            put_labels(one, label["pairs"], label.get("includeTemplates", False))
    return objects


def generated(folder: Path, asked: Object) -> Object:
    """Returns a ConfigMap of files."""
    data = {Path(f).name: (folder / f).read_text() for f in asked["files"]}
    metadata = {"name": asked["name"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def merge(target: Object, change: Object) -> None:
    """Merges as Kubernetes does: objects by key, lists of named things by name, others replaced."""
    for key, value in change.items():
        if isinstance(value, dict) and key in target:
            merge(target[key], value)
        elif isinstance(value, list) and key in target and "name" in value[0]:
            for one in value:
                merge(next(t for t in target[key] if t["name"] == one["name"]), one)
        else:
            target[key] = value


def put_labels(one: Object, pairs: dict[str, str], templates: bool) -> None:
    one["metadata"].setdefault("labels", {}).update(pairs)
    template = one.get("spec", {}).get("template") if templates else None
    if template:
        template["metadata"]["labels"].update(pairs)


def key_of(one: Object) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


def pod_of(one: Object) -> Object:
    """Returns the pod that a Deployment or an InferenceService describes, or nothing."""
    if one["kind"] == "InferenceService":
        predictor = one["spec"]["predictor"]
        return {key: value for key, value in predictor.items() if key not in OF_KSERVE}
    return one.get("spec", {}).get("template", {}).get("spec", {})


def in_order(objects: list[Object]) -> list[Object]:
    """Returns objects by their names, and so their containers, which a patch puts first."""
    for one in objects:
        pod_of(one).get("containers", []).sort(key=lambda each: each["name"])
    return sorted(objects, key=key_of)


def containers(one: Object) -> Iterator[Object]:
    pod = pod_of(one)
    yield from (*pod.get("initContainers", []), *pod.get("containers", []))


def objects_of(flavour: str) -> list[Object]:
    return copy.deepcopy(resolved(flavour))


@functools.cache
def resolved(flavour: str) -> list[Object]:
    return resolve(MANIFESTS / "overlays" / flavour)


def the(kind: str, flavour: str) -> Object:
    (one,) = [one for one in objects_of(flavour) if one["kind"] == kind]
    return one


def pod(flavour: str) -> Object:
    return pod_of(the("InferenceService" if flavour == "kserve" else "Deployment", flavour))


def container(flavour: str, name: str) -> Object:
    return {one["name"]: one for one in (*pod(flavour)["initContainers"], *run_by(flavour))}[name]


def run_by(flavour: str) -> list[Object]:
    """Returns the containers that stay, without the one that prepares."""
    return list(pod(flavour)["containers"])


def ports(one: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in one.get("ports", [])}


def console() -> Object:
    (one,) = resolve(MANIFESTS / "console")
    return one


def flags(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in words)


def compose() -> Object:
    service = yaml.safe_load((TF_SERVING / "compose.yaml").read_text())["services"]["tf-serving"]
    return dict(service)


def nginx() -> str:
    """Returns the proxy's configuration without its comments."""
    return re.sub(r"(^|\s)#.*", "", (FILES / "nginx.conf").read_text())


def kustomize() -> list[str] | None:
    """Returns the command that renders a folder, or None where there is none."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def validate(one: Object, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_object_is_valid_for_kubernetes(flavour: str, version: str) -> None:
    for one in objects_of(flavour):
        if one["kind"] != "InferenceService":
            validate(one, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_namespace_is_valid_for_kubernetes(version: str) -> None:
    (namespace,) = resolve(MANIFESTS / "namespace")
    validate(namespace, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_console_is_valid_for_kubernetes(version: str) -> None:
    validate(console(), version)


def test_the_console_runs_the_image_of_the_pipeline_on_its_volume() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    spec = console()["spec"]
    (only,) = spec["containers"]
    assert only["image"] == f"{layout.IMAGE}:{project['version']}"
    assert {"cpu", "memory", "ephemeral-storage"} <= {*only["resources"]["limits"]}
    assert {"name": "volume", "mountPath": layout.MOUNT} in only["volumeMounts"]
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == layout.CLAIM
    assert spec["automountServiceAccountToken"] is False


def test_the_server_answers_the_console_and_does_not_take_it_for_one_of_its_own() -> None:
    labels = console()["metadata"]["labels"].items()
    peers = the("NetworkPolicy", "cpu")["spec"]["ingress"][0]["from"]
    (asked,) = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
    assert asked.items() <= labels
    assert not the("Service", "cpu")["spec"]["selector"].items() <= labels


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    service = the("Service", "cpu")
    service["spec"]["selectors"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        validate(service, VERSIONS[0])


def test_the_inference_service_has_the_form_that_kserve_documents() -> None:
    one = the("InferenceService", "kserve")
    assert one["apiVersion"] == "serving.kserve.io/v1beta1"
    assert {*one} == {"apiVersion", "kind", "metadata", "spec"}
    assert {*one["spec"]} == {"predictor"}
    annotations = one["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert annotations["serving.kserve.io/autoscalerClass"] == "hpa"
    predictor = one["spec"]["predictor"]
    assert {*predictor} >= OF_KSERVE
    assert predictor["scaleMetric"] in {"cpu", "memory"}
    assert 1 <= predictor["minReplicas"] <= predictor["maxReplicas"]
    # Requests go to the first port of the first container, which must bear this name.
    assert predictor["containers"][0]["name"] == "kserve-container"
    assert next(iter(ports(predictor["containers"][0]))) == "http1"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_predictor_has_beside_kserves_own_fields_is_a_valid_pod(version: str) -> None:
    metadata = {"name": "mnist"}
    spec = pod("kserve")
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, version)


def test_kserve_runs_the_same_pod_as_our_deployment() -> None:
    ours, kserves = pod("cpu"), pod("kserve")
    for one in (ours, kserves):
        one["topologySpreadConstraints"][0].pop("labelSelector")
    text = yaml.safe_dump(ours).replace("name: limiter\n", "name: kserve-container\n")
    text = re.sub(r"\b(name|port): rest\n", r"\1: http1\n", text)
    assert yaml.safe_load(text) == kserves


@pytest.mark.skipif(kustomize() is None, reason="neither kustomize nor kubectl is on PATH")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_kustomize_renders_what_these_tests_look_at(flavour: str) -> None:
    command = [*(kustomize() or []), str(MANIFESTS / "overlays" / flavour)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    rendered = [*yaml.safe_load_all(DIGEST.sub(r"\1", done.stdout))]
    assert in_order(rendered) == in_order(objects_of(flavour))


@pytest.mark.skipif(kustomize() is None, reason="neither kustomize nor kubectl is on PATH")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_pod_names_the_configuration_by_its_digest(flavour: str) -> None:
    command = [*(kustomize() or []), str(MANIFESTS / "overlays" / flavour)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    names = {found[0] for found in DIGEST.finditer(text)}
    assert len(names) == 1
    assert len(re.findall(rf"name: {names.pop()}$", text, re.MULTILINE)) == 2


def test_every_file_is_part_of_a_kustomization() -> None:
    named = {MANIFESTS / "common" / "files" / name for name in ("prepare.sh", "nginx.conf")}
    for file in MANIFESTS.rglob("kustomization.yaml"):
        asked = yaml.safe_load(file.read_text())
        patches = [patch["path"] for patch in asked.get("patches", [])]
        config = [f for g in asked.get("configMapGenerator", []) for f in g["files"]]
        names = [*asked["resources"], *patches, *config, *asked.get("configurations", [])]
        named |= {(file.parent / name).resolve() for name in names} | {file}
    assert [file for file in MANIFESTS.rglob("*") if file.is_file() and file not in named] == []


@pytest.mark.parametrize("name", ["batching.config", "monitoring.config"])
def test_a_copied_configuration_is_that_of_serving(name: str) -> None:
    assert (FILES / name).read_text() == (TF_SERVING / name).read_text()


def test_the_default_model_configuration_is_what_our_own_tool_writes(tmp_path: Path) -> None:
    model_config.write(tmp_path / "models.config", [model_config.default_of(BASE)])
    assert (FILES / "models.config").read_text() == (tmp_path / "models.config").read_text()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_tf_serving_gets_the_flags_of_the_compose_file(flavour: str) -> None:
    expected = {
        **flags(compose()["command"]),
        "model_config_file": str(BASE.parent / model_config.FILE),
    }
    server = container(flavour, "tf-serving")
    assert server["command"] == compose()["entrypoint"]
    assert flags(server["args"]) == expected


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_image_is_pinned_to_a_version(flavour: str) -> None:
    for one in objects_of(flavour):
        for each in containers(one):
            name, _, tag = each["image"].rpartition(":")
            assert re.fullmatch(r"\d+\.\d+\.\d+(-gpu|-alpine)?", tag), each["image"]
            assert name.startswith("docker.io/")


@pytest.mark.parametrize(("flavour", "suffix"), [("cpu", ""), ("kserve", ""), ("gpu", "-gpu")])
def test_tf_serving_is_the_version_of_the_compose_file(flavour: str, suffix: str) -> None:
    for name in ("prepare", "tf-serving"):
        assert container(flavour, name)["image"] == compose()["image"] + suffix


@pytest.mark.parametrize("flavour", [*FLAVOURS, "console"])
def test_a_pod_has_the_restricted_profile_and_a_read_only_root(flavour: str) -> None:
    """The profile's rules are those of Kubernetes' Pod Security Standards."""
    spec = console()["spec"] if flavour == "console" else pod(flavour)
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & {*spec}
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    assert all(({*volume} - {"name"}) <= allowed for volume in spec["volumes"])
    for one in (*spec.get("initContainers", []), *spec["containers"]):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not [port for port in one.get("ports", []) if "hostPort" in port]


def test_a_namespace_of_ones_own_enforces_that_profile() -> None:
    (namespace,) = resolve(MANIFESTS / "namespace")
    for mode in ("enforce", "warn", "audit"):
        assert namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_pod_carries_a_token_of_the_cluster(flavour: str) -> None:
    assert the("ServiceAccount", flavour)["automountServiceAccountToken"] is False
    assert pod(flavour)["automountServiceAccountToken"] is False
    assert pod(flavour)["serviceAccountName"] == key_of(the("ServiceAccount", flavour))[1]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_container_has_requests_and_limits(flavour: str) -> None:
    for one in (*pod(flavour)["initContainers"], *run_by(flavour)):
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= {*one["resources"][kind]}, one["name"]
    for volume in pod(flavour)["volumes"]:
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": 0})


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_only_the_preparing_container_writes_to_the_volume(flavour: str) -> None:
    mounts = {
        one["name"]: {m["mountPath"]: m.get("readOnly", False) for m in one["volumeMounts"]}
        for one in (*pod(flavour)["initContainers"], *run_by(flavour))
    }
    assert mounts["prepare"][layout.MOUNT] is False
    assert mounts["tf-serving"][layout.MOUNT] is True
    assert layout.MOUNT not in mounts[LIMITER[flavour]]
    assert all(m["/etc/tf_serving"] for m in mounts.values())
    assert {"/tmp"} == {*mounts[LIMITER[flavour]]} - {"/etc/tf_serving"}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_volume_is_the_claim_that_the_pipeline_mounts(flavour: str) -> None:
    claim = the("PersistentVolumeClaim", flavour)
    assert claim["metadata"]["name"] == layout.CLAIM
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    names = [v["persistentVolumeClaim"]["claimName"] for v in pod(flavour)["volumes"][:1]]
    assert names == [layout.CLAIM]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pod_is_ready_when_a_version_is_loaded(flavour: str) -> None:
    """TF Serving has metadata of a loaded version alone, but a status of any."""
    for name, port in (("tf-serving", "raw-rest"), (LIMITER[flavour], "metrics")):
        one = container(flavour, name)
        get = {"path": f"/v1/models/{BASE.name}/metadata", "port": port}
        assert one["readinessProbe"]["httpGet"] == get
        assert port in ports(one)
        assert one["livenessProbe"]["tcpSocket"]["port"] in ports(one)
    assert container(flavour, "tf-serving")["startupProbe"]["httpGet"]["path"] == get["path"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_bad_version_is_tried_as_often_as_tf_serving_does_before_a_restart(flavour: str) -> None:
    """Five retries, 60 s apart, then TF Serving ends itself, which says more than a probe."""
    probe = container(flavour, "tf-serving")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 6 * 60


@pytest.mark.parametrize("flavour", OURS)
def test_the_service_leads_to_the_limited_ports_alone(flavour: str) -> None:
    asked = {
        p["name"]: (p["port"], p["targetPort"]) for p in the("Service", flavour)["spec"]["ports"]
    }
    served = flags(compose()["command"])
    assert asked == {
        "rest": (int(served["rest_api_port"]), "rest"),
        "grpc": (int(served["port"]), "grpc"),
    }
    assert {"rest", "grpc"} <= {*ports(container(flavour, "limiter"))}
    assert not {"rest", "grpc"} & {*ports(container(flavour, "tf-serving"))}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_proxy_listens_and_asks_where_the_pod_says(flavour: str) -> None:
    listens = {int(port) for port in re.findall(r"listen (\d+);", nginx())}
    assert listens == {*ports(container(flavour, LIMITER[flavour])).values()}
    asked = {int(port) for port in re.findall(r"server 127\.0\.0\.1:(\d+);", nginx())}
    assert asked == {*ports(container(flavour, "tf-serving")).values()}
    served = flags(container(flavour, "tf-serving")["args"])
    assert asked == {int(served["port"]), int(served["rest_api_port"])}
    words = container(flavour, LIMITER[flavour])["command"]
    assert words[words.index("-c") + 1] == "/etc/tf_serving/nginx.conf"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_metrics_are_found_where_the_annotations_say(flavour: str) -> None:
    one = the("InferenceService" if flavour == "kserve" else "Deployment", flavour)
    owner = one if flavour == "kserve" else one["spec"]["template"]
    annotations = owner["metadata"]["annotations"]
    limiter = ports(container(flavour, LIMITER[flavour]))
    assert int(annotations["prometheus.io/port"]) == limiter["metrics"]
    path = annotations["prometheus.io/path"]
    assert f'"{path}"' in (FILES / "monitoring.config").read_text()
    assert f"location = {path} {{" in nginx()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nobody_reaches_the_raw_ports_and_nothing_goes_out(flavour: str) -> None:
    spec = the("NetworkPolicy", flavour)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == []
    limiter = container(flavour, LIMITER[flavour])
    opened = [{port["port"] for port in rule["ports"]} for rule in spec["ingress"]]
    assert opened == [{*ports(limiter)} - {"metrics"}, {"metrics"}]
    assert all(rule["from"] for rule in spec["ingress"])


@pytest.mark.parametrize("flavour", OURS)
def test_selectors_find_the_pods(flavour: str) -> None:
    labels = the("Deployment", flavour)["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        the("Deployment", flavour)["spec"]["selector"]["matchLabels"],
        the("Service", flavour)["spec"]["selector"],
        the("PodDisruptionBudget", flavour)["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy", flavour)["spec"]["podSelector"]["matchLabels"],
        pod(flavour)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)


def test_selectors_find_the_pods_that_kserve_labels() -> None:
    name = key_of(the("InferenceService", "kserve"))[1]
    expected = {"serving.kserve.io/inferenceservice": name}
    assert the("PodDisruptionBudget", "kserve")["spec"]["selector"]["matchLabels"] == expected
    assert the("NetworkPolicy", "kserve")["spec"]["podSelector"]["matchLabels"] == expected


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_object_has_the_recommended_labels(flavour: str) -> None:
    for one in objects_of(flavour):
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "mnist-tfx"
        assert labels["app.kubernetes.io/part-of"] == "mnist-tfx"
        assert labels["app.kubernetes.io/managed-by"] == "kustomize"
        assert labels["mnist-tfx/variant"] == flavour
        assert "namespace" not in one["metadata"]


@pytest.mark.parametrize("flavour", OURS)
def test_the_autoscaler_alone_says_how_many_pods_there_are(flavour: str) -> None:
    scaler = the("HorizontalPodAutoscaler", flavour)["spec"]
    deployment = the("Deployment", flavour)
    assert "replicas" not in deployment["spec"]
    target = scaler["scaleTargetRef"]
    assert (target["kind"], target["name"]) == key_of(deployment)
    (metric,) = scaler["metrics"]
    name = metric["containerResource"]["container"]
    assert "cpu" in container(flavour, name)["resources"]["requests"]


def test_a_drain_is_never_blocked_by_a_single_pod() -> None:
    for flavour in FLAVOURS:
        budget = the("PodDisruptionBudget", flavour)["spec"]
        assert budget["maxUnavailable"] == 1
        assert "minAvailable" not in budget


def test_a_gpu_is_asked_for_in_the_gpu_overlay_alone() -> None:
    for flavour in FLAVOURS:
        limits = container(flavour, "tf-serving")["resources"]["limits"]
        assert limits.get("nvidia.com/gpu") == ("1" if flavour == "gpu" else None)
    assert the("Deployment", "gpu")["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert pod("gpu")["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert the("HorizontalPodAutoscaler", "gpu")["spec"]["minReplicas"] == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pod_that_ends_answers_what_is_under_way(flavour: str) -> None:
    """The proxy waits for the Service, then for its requests; TF Serving goes last."""
    limiter = container(flavour, LIMITER[flavour])["lifecycle"]["preStop"]["exec"]["command"]
    server = container(flavour, "tf-serving")["lifecycle"]["preStop"]["exec"]["command"]
    shutdown = int(re.search(r"worker_shutdown_timeout (\d+)s", nginx())[1])  # type: ignore[index]
    assert int(limiter[1]) + shutdown <= int(server[1])
    assert int(server[1]) < pod(flavour)["terminationGracePeriodSeconds"]


def test_the_proxy_has_the_limits_of_the_embedded_server() -> None:
    limits = Limits()
    size = re.search(r"client_max_body_size (\d+)m;", nginx())
    assert size
    assert int(size[1]) * MIB == limits.body_bytes
    assert f"client_body_timeout {limits.read_seconds:.0f}s;" in nginx()
    assert f"keepalive_timeout {limits.idle_seconds:.0f}s;" in nginx()
    headers = re.search(r"large_client_header_buffers (\d+) (\d+)k;", nginx())
    assert headers
    assert int(headers[1]) * int(headers[2]) * 1024 == limits.header_bytes


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_all_bodies_that_may_wait_fit_the_proxys_volume(flavour: str) -> None:
    waiting = {int(n) for n in re.findall(r"limit_conn requests (\d+);", nginx())}
    (volume,) = [v for v in pod(flavour)["volumes"] if v["name"] == "limiter-tmp"]
    assert volume["emptyDir"]["sizeLimit"] == "1Gi"
    assert max(waiting) * Limits().body_bytes <= 1 << 30


def prepare(volume: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(FILES / "prepare.sh"), str(volume), str(FILES / "models.config"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def push(volume: Path) -> None:
    version = volume / "serving" / "mnist" / "7"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()


def test_an_empty_volume_gets_its_folders_and_the_default_configuration(tmp_path: Path) -> None:
    push(tmp_path)
    done = prepare(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"versions: {tmp_path}/serving/mnist/7\n"
    (config,) = model_config.read(tmp_path / "serving" / "models.config")
    assert config == model_config.ModelConfig("mnist", BASE)
    assert {file.name for file in (tmp_path / "serving").iterdir()} == {"mnist", "models.config"}
    assert {file.name for file in tmp_path.iterdir()} == {"serving", "state", "data"}


def test_what_was_promoted_stays(tmp_path: Path) -> None:
    push(tmp_path)
    (tmp_path / "serving" / "models.config").write_text("promoted")
    assert prepare(tmp_path).returncode == 0
    assert (tmp_path / "serving" / "models.config").read_text() == "promoted"


def test_the_pod_waits_for_the_first_version_and_says_so(tmp_path: Path) -> None:
    command = ["sh", str(FILES / "prepare.sh"), str(tmp_path), str(FILES / "models.config"), "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout
        said = waiting.stdout.readline()
        assert "waiting for the first version below" in said
        assert (tmp_path / "serving" / "models.config").exists()
        (tmp_path / "serving" / "mnist" / "7").mkdir()
        assert waiting.poll() is None
        (tmp_path / "serving" / "mnist" / "7" / "saved_model.pb").touch()
        assert waiting.wait(20) == 0


def test_a_volume_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = prepare(tmp_path / "file")
    assert done.returncode == 1
    assert "may write to: give it to that group" in done.stderr
