"""setup.sh with a fake Python, pip and uv on a PATH of its own, and what the locks may hold.

Nothing is downloaded or installed here.
"""

import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    *("bash", "cat", "chmod", "cp", "dirname", "flock", "getconf", "grep", "mkdir", "mktemp"),
    *("mv", "rm", "sed", "sha256sum", "sleep", "tail", "uname"),
)

# Stands for the system's Python and, copied into .venv, for the one there; $CALLS is its log.
PYTHON = """#!/usr/bin/env bash
[ -z "${NO_ENSUREPIP:-}" ] || exit 1
case "$*" in
  -V) echo "Python 3.11.9" ;;
  "-m venv "*)
    echo "venv" >>"$CALLS"
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    echo "VIRTUAL_ENV=\\"$3\\"" >"$3/bin/activate" ;;
  *"-r requirements/uv.txt"*)
    echo "tools" >>"$CALLS"
    cat "${@: -1}" >"$CALLS.tools"
    cp "$FAKE_UV" "$(dirname "$0")/uv" ;;
  *"-m pip"*|*compileall*) echo "python $*" >>"$CALLS" ;;
esac
"""

UV = """#!/usr/bin/env bash
echo "uv $* cert=${SSL_CERT_FILE:-none}" >>"$CALLS"
sleep "${UV_SLEEP:-0}"
[ -z "${UV_FAILS:-}" ]
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what setup.sh reads, beside a `bin` with the tools it calls and a fake Python."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, f"{name} is not on PATH, and setup.sh needs it"
        (tools / name).symlink_to(found)
    script(tools / "python3.11", PYTHON)
    script(tmp_path / "uv", UV)
    return folder


def environment(project: Path, **more: str) -> dict[str, str]:
    beside = project.parent
    base = {"PATH": str(beside / "bin"), "HOME": str(beside), "TMPDIR": str(beside)}
    return base | {"CALLS": str(beside / "calls"), "FAKE_UV": str(beside / "uv")} | more


@pytest.fixture
def run_setup(project: Path) -> Run:
    """Runs setup.sh in the project of the test; keyword arguments are environment variables."""

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "setup.sh"],
            cwd=project,
            env=environment(project, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def calls(project: Path) -> list[str]:
    """What the fakes were asked since the last call of this."""
    log = project.parent / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_another_platform_is_refused_in_one_sentence(
    project: Path, run_setup: Run, system: str
) -> None:
    (project.parent / "bin" / "uname").unlink()
    script(project.parent / "bin" / "uname", f"#!/bin/sh\necho {system}\n")
    assert_refused(
        run_setup(), "needs Linux on x86_64", f"this is {system}", "a container of Debian 12"
    )
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("libc", "words"),
    [
        ("echo glibc 2.27", "this has glibc 2.27"),
        ("echo glibc 1.99", "this has glibc 1.99"),
        ("exit 1", "another C library, such as musl"),
    ],
)
def test_an_old_or_other_c_library_is_refused_in_one_sentence(
    project: Path, run_setup: Run, libc: str, words: str
) -> None:
    (project.parent / "bin" / "getconf").unlink()
    script(project.parent / "bin" / "getconf", f"#!/bin/sh\n{libc}\n")
    assert_refused(run_setup(), "glibc 2.28 or newer", words)


def test_without_python_or_uv_one_sentence_says_what_to_install(
    project: Path, run_setup: Run
) -> None:
    (project.parent / "bin" / "python3.11").unlink()
    assert_refused(run_setup(), "Python 3.11 is not here", "install python3.11 with venv")


def test_python_without_ensurepip_is_told_which_package_to_install(run_setup: Run) -> None:
    assert_refused(run_setup(NO_ENSUREPIP="1"), "install Debian's python3.11-venv")


def test_an_unknown_extra_is_refused(run_setup: Run) -> None:
    assert_refused(run_setup(EXTRA="tpu"), "EXTRA is 'tpu'", "cpu or gpu")


def test_a_uv_on_path_fetches_a_missing_python(project: Path, run_setup: Run) -> None:
    (project.parent / "bin" / "python3.11").unlink()
    shutil.copy(project.parent / "uv", project.parent / "bin" / "uv")
    assert_refused(run_setup(UV_FAILS="1"), "could not be fetched")
    (fetch,) = calls(project)
    assert fetch.startswith(f"uv venv --quiet --python 3.11 --seed {project / '.venv'}")


def test_a_first_setup_installs_tools_lock_and_project_in_this_order(
    project: Path, run_setup: Run
) -> None:
    done = run_setup()
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    venv, tools, lock, itself = calls(project)
    assert (venv, tools) == ("venv", "tools")
    assert "--no-deps --require-hashes --compile-bytecode" in lock
    assert "-r requirements/cpu.txt" in lock
    assert f"--no-deps --no-build-isolation --editable {project}" in itself


def test_the_tools_to_build_with_come_from_the_lock_with_their_hashes(
    project: Path, run_setup: Run
) -> None:
    run_setup()
    tools = (project.parent / "calls.tools").read_text()
    assert re.findall(r"^([a-z]+)==", tools, re.MULTILINE) == ["setuptools", "wheel"]
    assert tools.count("--hash=sha256:") >= 2
    assert set(tools.splitlines()) <= set(lock_text("cpu").splitlines())


def test_a_complete_setup_returns_at_once_and_says_nothing(project: Path, run_setup: Run) -> None:
    run_setup()
    calls(project)
    began = time.monotonic()
    done = run_setup()
    assert time.monotonic() - began < 2.0  # about 0.02 s on a quiet machine
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert calls(project) == []


@pytest.mark.parametrize("name", ["requirements/cpu.txt", "requirements/uv.txt", "pyproject.toml"])
def test_a_changed_lock_installs_again_into_the_same_venv(
    project: Path, run_setup: Run, name: str
) -> None:
    run_setup()
    calls(project)
    with (project / name).open("a") as file:
        file.write("# changed\n")
    assert run_setup().returncode == 0
    assert calls(project)[0] == "tools"


def test_an_interrupted_setup_starts_from_an_empty_venv(project: Path, run_setup: Run) -> None:
    run_setup()
    (project / ".venv/.complete").unlink()
    (project / ".venv/half a package").touch()
    calls(project)
    assert run_setup().returncode == 0
    assert calls(project)[0] == "venv"
    assert not (project / ".venv/half a package").exists()


@pytest.mark.parametrize("fault", ["a python that does not run", "a folder that was moved"])
def test_a_venv_that_cannot_be_used_is_made_again(
    project: Path, run_setup: Run, fault: str
) -> None:
    run_setup()
    calls(project)
    broken = "bin/python" if fault == "a python that does not run" else "bin/activate"
    (project / ".venv" / broken).write_text("exit 1\n")
    (project / ".venv/.complete").write_text("of another lock\n")
    assert run_setup().returncode == 0
    assert calls(project)[0] == "venv"


def test_a_moved_project_is_set_up_again(project: Path, run_setup: Run) -> None:
    run_setup()
    calls(project)
    moved = project.rename(project.parent / "moved")
    done = subprocess.run(
        ["bash", str(moved / "setup.sh")], env=environment(moved), timeout=60, check=False
    )
    assert done.returncode == 0
    assert calls(moved)[0] == "venv"


def test_pip_installs_what_uv_cannot_download(project: Path, run_setup: Run) -> None:
    assert run_setup(UV_FAILS="1").returncode == 0
    by_pip = [call for call in calls(project) if call.startswith("python")]
    install, compiled, itself = by_pip
    assert "install --quiet --no-deps --require-hashes --no-compile" in install
    assert install.endswith("-r requirements/cpu.txt")
    assert "compileall -q -j 0" in compiled
    assert "--editable" in itself


def test_gpu_stays_until_cpu_is_asked_for(project: Path, run_setup: Run) -> None:
    run_setup(EXTRA="gpu")
    assert "-r requirements/gpu.txt" in calls(project)[2]
    run_setup()
    assert calls(project) == []
    run_setup(EXTRA="cpu")
    assert "-r requirements/cpu.txt" in calls(project)[1]


def test_uv_trusts_the_certificates_that_pip_is_told(project: Path, run_setup: Run) -> None:
    run_setup(PIP_CERT="/some.pem")
    assert calls(project)[2].endswith("cert=/some.pem")
    (project / ".venv/.complete").unlink()
    run_setup(PIP_CERT="/some.pem", SSL_CERT_FILE="/other.pem")
    assert calls(project)[2].endswith("cert=/other.pem")


def test_of_two_setups_at_once_one_installs_and_one_waits(project: Path) -> None:
    both = [
        subprocess.Popen(
            ["bash", "setup.sh"],
            cwd=project,
            env=environment(project, UV_SLEEP="0.5"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    words = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert calls(project).count("tools") == 1
    assert sum("waiting for another set-up" in text for text in words) == 1


LOCKS = ("cpu", "gpu")


def lock_text(name: str) -> str:
    return (ROOT / f"requirements/{name}.txt").read_text()


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", lock_text(name), re.MULTILINE))


@pytest.mark.parametrize("name", [*LOCKS, "uv"])
def test_every_pin_of_a_lock_has_hashes(name: str) -> None:
    folded = lock_text(name).replace("\\\n", "")
    lines = [line for line in folded.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ;]+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda p: p.name)
def test_no_lock_names_a_registry_or_a_folder_of_a_machine(path: Path) -> None:
    assert not re.search(r"://|index-url|find-links|\w\.(org|com|io|dev)\b| /\w", path.read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_fulfils_the_project_file(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    overrides = project["tool"]["uv"]["override-dependencies"]
    asked = [*project["project"]["dependencies"], *overrides]
    asked += project["project"]["optional-dependencies"]["dev"]
    locked = pins(name)
    for requirement in map(Requirement, asked):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: make lock again"


def test_the_gpu_lock_adds_cuda_and_changes_nothing_else() -> None:
    cpu, gpu = pins("cpu"), pins("gpu")
    added = gpu.keys() - cpu.keys()
    assert {name: gpu[name] for name in cpu} == cpu
    assert "nvidia-cudnn-cu12" in added
    assert all(name.startswith("nvidia-") for name in added)
