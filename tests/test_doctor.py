"""The doctor's checks on made-up machines; TensorFlow runs only in the one slow test, elsewhere."""

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.doctor import Check, run_checks
from pipeline.doctor.check import guarded
from pipeline.doctor.devices import gpu_check, keras_check, tensorflow_checks
from pipeline.doctor.machine import (
    available_memory,
    cgroup_headroom,
    cpu_check,
    disk_check,
    disk_space_check,
    memory_check,
    platform_check,
    python_check,
)
from pipeline.doctor.software import OVERRIDDEN, installed_check, required, version_check
from pipeline.doctor.tools import engine_check, kubectl_check, model_server_check

ROOT = Path(__file__).resolve().parents[1]
GB = 10**9


def cpuinfo(flags: str) -> str:
    core = f"processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse {flags}\nbugs\t\t: amx\n"
    return core + core


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = "{'tensorflow', 'keras', 'tfx', 'apache_beam', 'numpy'} & set(sys.modules)"
    code = f"import sys, pipeline.doctor; sys.exit(repr({heavy}) if {heavy} else 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_exception_becomes_a_failed_check_with_its_words() -> None:
    def broken() -> Check:
        raise OSError("the disk is gone")

    check = guarded("disk", broken)
    assert (check.name, check.state) == ("disk", "fail")
    assert check.found == "OSError: the disk is gone"
    assert "report these words" in check.advice
    assert guarded("kubectl", broken, worst="warn").state == "warn"


def test_only_python_3_11_is_accepted() -> None:
    assert python_check((3, 11, 9)) == Check("Python", "ok", "3.11.9")
    check = python_check((3, 12, 1))
    assert check.state == "fail"
    assert "needs 3.11" in check.found
    assert "make setup" in check.advice


@pytest.mark.parametrize(
    ("system", "machine", "libc", "state"),
    [
        ("Linux", "x86_64", ("glibc", "2.28"), "ok"),
        ("Linux", "x86_64", ("glibc", "2.100"), "ok"),
        ("Linux", "x86_64", ("glibc", "2.27"), "fail"),
        ("Linux", "x86_64", ("", ""), "fail"),
        ("Linux", "aarch64", ("glibc", "2.36"), "fail"),
        ("Darwin", "arm64", ("", ""), "fail"),
    ],
)
def test_the_platform_is_linux_x86_64_with_a_recent_glibc(
    system: str, machine: str, libc: tuple[str, str], state: str
) -> None:
    check = platform_check(system, machine, libc)
    assert check.state == state
    assert check.found.startswith(f"{system} {machine}, ")
    assert ("container of Debian 12" in check.advice) == (state == "fail")


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("avx avx2 avx512f avx512_bf16 amx_bf16", "amx_bf16, avx512_bf16, avx512f, avx2: bfloat16"),
        ("avx avx2 avx512f avx512_bf16", "avx512_bf16, avx512f, avx2: bfloat16"),
        ("avx avx2 avx512f", "avx512f, avx2: float32"),
        ("avx avx2", "avx2: float32"),
    ],
)
def test_the_best_flag_names_the_precision(flags: str, found: str) -> None:
    check = cpu_check(cpuinfo(flags))
    assert check.state == "ok"
    assert check.found.startswith(found)


def test_a_cpu_without_avx_fails_and_one_with_avx_alone_is_slow() -> None:
    assert cpu_check(cpuinfo("avx")).state == "warn"
    check = cpu_check(cpuinfo("sse4_2"))
    assert (check.state, check.found) == ("fail", "no AVX")
    assert "TensorFlow's wheels need AVX" in check.advice


@pytest.mark.parametrize(
    ("gigabytes", "state"), [(6.0, "ok"), (5.9, "warn"), (3.0, "warn"), (2.9, "fail")]
)
def test_memory_is_enough_from_six_gigabytes_and_too_little_below_three(
    gigabytes: float, state: str
) -> None:
    check = memory_check(int(gigabytes * GB))
    assert check.state == state
    assert check.found.startswith(f"{gigabytes} GB available")


@pytest.mark.parametrize(
    ("gigabytes", "state"), [(5.0, "ok"), (4.9, "warn"), (2.0, "warn"), (1.9, "fail")]
)
def test_disk_is_enough_from_five_gigabytes_and_too_little_below_two(
    gigabytes: float, state: str
) -> None:
    check = disk_space_check(int(gigabytes * GB), Path("/runs"))
    assert check.state == state
    assert "free at /runs" in check.found
    assert ("another disk" in check.advice) == (state != "ok")


def test_a_workdir_that_does_not_exist_yet_is_judged_by_its_nearest_parent(tmp_path: Path) -> None:
    assert str(tmp_path) in disk_check(tmp_path / "runs" / "mnist").found
    assert not (tmp_path / "runs").exists()


def test_a_workdir_that_cannot_be_written_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    check = disk_check(tmp_path)
    assert check.state == "fail"
    assert "--workdir" in check.advice


def group(folder: Path, limit: str, used: int, reclaimable: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {reclaimable}\n")


def test_the_tightest_cgroup_counts_without_its_reclaimable_pages(tmp_path: Path) -> None:
    group(tmp_path / "a", "1000", 600, 100)
    group(tmp_path / "a" / "b", "max", 600, 100)
    assert cgroup_headroom(tmp_path, "0::/a/b\n") == 500
    group(tmp_path / "a" / "b", "700", 600, 0)
    assert cgroup_headroom(tmp_path, "1:name=systemd:/\n0::/a/b\n") == 100


def test_without_a_cgroup_limit_the_machine_decides(tmp_path: Path) -> None:
    assert cgroup_headroom(tmp_path, "4:memory:/a\n") is None
    assert cgroup_headroom(tmp_path, "0::/a\n") is None
    assert available_memory() > 0


def test_a_version_outside_what_is_wanted_fails_and_says_how_to_mend_it() -> None:
    assert version_check("keras", "3.15.1", ">=3.13.2,<4").state == "ok"
    check = version_check("keras", "2.15.0", ">=3.13.2,<4", "a reason")
    assert check.state == "fail"
    assert check.found == "2.15.0, wants >=3.13.2,<4 (a reason)"
    assert "make setup" in check.advice


def test_a_missing_package_fails() -> None:
    check = installed_check("no-such-package")
    assert check.state == "fail"
    assert check.found == "no-such-package is not installed"


def test_a_wish_of_the_project_goes_before_one_of_tfx(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = {
        "mnist-tfx": ["Keras_Tuner<1.5,>=1.4.8", 'tensorflow[and-cuda]<3; extra == "gpu"'],
        "tfx": ["keras-tuner<2", "tensorflow>=2.21"],
    }
    monkeypatch.setattr(metadata, "requires", wishes.get)
    assert required("keras-tuner") == ("<1.5,>=1.4.8", "")
    assert required("tensorflow") == (">=2.21", "")
    with pytest.raises(LookupError, match="neither mnist-tfx nor tfx asks for jax"):
        required("jax")


def test_the_table_of_overrides_says_what_the_project_file_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    overrides = map(Requirement, project["tool"]["uv"]["override-dependencies"])
    said = {override.name: str(override.specifier) for override in overrides}
    for name, (specifier, reason) in OVERRIDDEN.items():
        assert said[name] == specifier
        assert reason


def test_keras_2_behind_tensorflow_fails_and_names_the_variable() -> None:
    assert keras_check("3.15.1") == Check("tf.keras", "ok", "Keras 3.15.1")
    check = keras_check("2.21.0")
    assert (check.state, check.found) == ("fail", "Keras 2.21.0")
    assert "unset TF_USE_LEGACY_KERAS" in check.advice


def test_a_gpu_is_named_with_its_capability_and_none_is_no_failure() -> None:
    seen = gpu_check([("NVIDIA L4", (8, 9)), ("GPU", None)])
    assert seen.state == "ok"
    assert seen.found == "NVIDIA L4, compute capability 8.9; GPU, compute capability ?"
    for none in (gpu_check(), gpu_check(error="no driver")):
        assert none.state == "warn"
        assert "make setup EXTRA=gpu" in none.advice


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo no module tensorflow >&2; exit 1", "(exit code 1): no module tensorflow"),
        ("kill -ILL $$", "(SIGILL): it said nothing"),
    ],
)
def test_a_tensorflow_that_does_not_start_is_said_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    script(tmp_path / "python", body)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    keras, tensorboard, gpu = tensorflow_checks()
    assert [keras.state, tensorboard.state, gpu.state] == ["fail", "fail", "warn"]
    assert words in keras.found


@pytest.mark.usefixtures("empty_path")
def test_nothing_optional_on_path_is_a_warning_with_advice() -> None:
    for check in (model_server_check(), engine_check(), kubectl_check()):
        assert check.state == "warn"
        assert "not on PATH" in check.found or "neither" in check.found
        assert check.advice


def test_the_optional_tools_are_found_on_path(empty_path: Path) -> None:
    for name in ("tensorflow_model_server", "kubectl", "podman"):
        script(empty_path / name, "exit 0")
    assert model_server_check().found == str(empty_path / "tensorflow_model_server")
    assert kubectl_check().state == "ok"
    assert engine_check() == Check("container engine", "ok", "podman")


def test_a_client_without_an_engine_is_said_so(empty_path: Path) -> None:
    script(empty_path / "docker", "echo Client: 28; echo Cannot connect to the daemon >&2; exit 1")
    check = engine_check()
    assert check.state == "warn"
    assert check.found.startswith("docker is on PATH, its engine does not answer: Cannot connect")
    assert "start its service" in check.advice


def test_an_engine_that_hangs_is_given_up(
    empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(empty_path / "docker", "exec /bin/sleep 30")
    monkeypatch.setattr("pipeline.doctor.tools._ENGINE_SECONDS", 0.2)
    assert "does not answer: nothing within" in engine_check().found


@pytest.mark.slow
def test_the_machine_that_runs_the_tests_fails_no_check_of_its_installation(
    tmp_path: Path,
) -> None:
    checks = {check.name: check for check in run_checks(tmp_path)}
    assert len(checks) == 22
    for name in ("Python", "platform", "CPU", "tfx", "keras", "ml-metadata", "TensorBoard"):
        assert checks[name].state == "ok", checks[name]
    for check in checks.values():
        assert (check.advice == "") == (check.state == "ok")


@pytest.mark.slow
def test_asking_tensorflow_for_keras_2_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    assert tensorflow_checks()[0].found.startswith("Keras 2.")
