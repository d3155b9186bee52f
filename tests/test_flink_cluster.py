"""A Flink cluster's files, faults and processes, with a stand-in for Java."""

import contextlib
import errno
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pipeline.flink import cluster as clusters
from pipeline.flink import fetch, listening, settings, state, versions
from pipeline.flink.__main__ import NO_CLUSTER
from tests.ended import ended

SMALL = settings.ClusterSettings(task_managers=1, slots=1)


def stand_in(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Puts a program in place of Java; it says that it is Java 17."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1:] == ['-version']:\n"
        "    sys.exit(print('openjdk version \"17.0.15\"', file=sys.stderr))\n" + body
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def packages(folder: pathlib.Path) -> fetch.Packages:
    made = fetch.Packages.under(folder)
    made.flink.mkdir(parents=True)
    made.runner.mkdir()
    (made.flink / "flink-dist-1.19.3.jar").write_text("")
    (made.runner / "beam-runners-flink-1.19-2.70.0.jar").write_text("")
    return made


# A Java whose job manager answers as Flink's does and whose job server listens.
ANSWERS = """\
import http.server, json, pathlib, time
main = next(w for w in sys.argv if w.startswith("org.apache."))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"flink-version": "1.19.3", "slots-total": 1}).encode())
if main.endswith("TaskManagerRunner"):
    import subprocess
    subprocess.Popen(["sleep", "600"])
    time.sleep(600)
elif main.endswith("FlinkJobServerDriver"):
    port = next(w.split("=")[1] for w in sys.argv if w.startswith("--job-port"))
else:
    lines = (pathlib.Path(sys.argv[-1]) / "flink-conf.yaml").read_text().splitlines()
    port = dict(line.split(": ") for line in lines)["rest.port"]
http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


@pytest.fixture
def cluster(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[state.Cluster]:
    stand_in(tmp_path, monkeypatch, ANSWERS)
    yield clusters.start(tmp_path, packages(tmp_path), SMALL)
    with contextlib.suppress(state.ClusterError):
        clusters.stop(tmp_path)


def children_of(process: state.Process) -> list[psutil.Process]:
    """Waits until a process has children; its start does not."""
    until = time.monotonic() + 30
    while not (found := psutil.Process(process.pid).children()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def test_a_cluster_starts_is_seen_and_stops_with_its_workers(
    tmp_path: pathlib.Path, cluster: state.Cluster
) -> None:
    assert state.started(tmp_path) == cluster
    assert cluster.running() == {"jobmanager": True, "taskmanager-1": True, "jobserver": True}
    assert listening.overview(cluster.rest)["slots-total"] == 1
    (worker,) = children_of(cluster.processes["taskmanager-1"])

    assert clusters.stop(tmp_path) == 4
    assert not any(cluster.running().values())
    assert ended(worker)
    with pytest.raises(state.ClusterError, match="none was started: run python -m pipeline.fl"):
        clusters.stop(tmp_path)


def test_a_second_start_is_refused_and_the_first_goes_on(
    tmp_path: pathlib.Path, cluster: state.Cluster
) -> None:
    with pytest.raises(state.ClusterError, match="one runs there .jobmanager, taskmanager-1"):
        clusters.start(tmp_path, fetch.Packages.under(tmp_path), SMALL)
    assert all(cluster.running().values())


def test_ports_stay_from_one_start_to_the_next(
    tmp_path: pathlib.Path, cluster: state.Cluster
) -> None:
    """Addresses are a part of the nodes' cache keys."""
    clusters.stop(tmp_path)
    again = clusters.start(tmp_path, fetch.Packages.under(tmp_path), SMALL)
    clusters.stop(tmp_path)
    assert again.beam_args == cluster.beam_args


def test_arguments_need_no_quoting(tmp_path: pathlib.Path, cluster: state.Cluster) -> None:
    clusters.stop(tmp_path)
    words = cluster.beam_args
    assert " ".join(words).split() == words
    assert words[:2] == ["--runner=FlinkRunner", f"--job_endpoint={cluster.job_endpoint}"]
    assert f"--environment_option=process_command={cluster.folder / 'worker.sh'}" in words
    assert "--parallelism=1" in words


def test_a_process_that_ends_at_its_start_is_named_and_nothing_is_left(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "sys.exit('no such main class')")
    with pytest.raises(state.ClusterError, match="ended at its start: no such main class"):
        clusters.start(tmp_path, packages(tmp_path), SMALL)
    assert not (tmp_path / "cluster" / state.STATE).exists()


def test_a_cluster_that_is_not_ready_in_time_is_stopped(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "import time\ntime.sleep(600)\n")
    monkeypatch.setattr(clusters, "READY_SECONDS", 0.5)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with pytest.raises(state.ClusterError, match="expected its task slots within 0 s"):
        clusters.start(tmp_path, packages(tmp_path), SMALL)
    time.sleep(0.2)
    after = {p.pid for p in psutil.Process().children() if not ended(p)}
    assert after <= before


def test_what_stops_the_first_process_is_told_and_not_what_stopping_it_meets(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, ANSWERS)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clusters, "write", full)
    before = {p.pid for p in psutil.Process().children()}
    with pytest.raises(OSError, match="No space left on device"):
        clusters.start(tmp_path, packages(tmp_path), SMALL)
    after = {p.pid for p in psutil.Process().children() if not ended(p)}
    assert after <= before


def test_a_folder_that_beams_arguments_could_not_name_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(state.ClusterError, match="expected a folder without spaces"):
        clusters.start(tmp_path / "my project", fetch.Packages.under(tmp_path), SMALL)
    assert not (tmp_path / "my project").exists()


@pytest.mark.parametrize("text", ["", '{"processes": {}}', '{"processes": 1}'])
def test_a_damaged_state_file_is_named(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / state.STATE).write_text(text)
    with pytest.raises(state.ClusterError, match=f"expected a whole .*{state.STATE}; it is damag"):
        state.started(tmp_path)


def test_a_number_that_another_process_has_now_is_not_ours() -> None:
    this = psutil.Process()
    assert state.Process(this.pid, this.create_time()).find()
    assert state.Process(this.pid, this.create_time() - 1).find() is None


def test_flinks_own_processes_are_told_to_listen_on_this_machine_alone(
    tmp_path: pathlib.Path,
) -> None:
    ports = settings.Ports(*listening.free_ports(5))
    text = settings.configuration(settings.ClusterSettings(), ports, tmp_path)
    hosts = [line for line in text.splitlines() if line.split(":")[0].endswith(("host", "address"))]
    assert len(hosts) == 6
    assert all(line.endswith(": 127.0.0.1") for line in hosts)
    made = settings.commands(settings.ClusterSettings(), ports, "java", "a.jar:b.jar", tmp_path)
    assert [*made] == ["jobmanager", "taskmanager-1", "taskmanager-2", "jobserver"]
    assert "--job-host=127.0.0.1" in made["jobserver"]


def test_beam_of_another_release_is_refused() -> None:
    versions.check_beam()
    with pytest.raises(versions.VersionMismatch) as error:
        versions.check_beam(installed="2.99.0")
    words = "expected apache-beam 2.77.0, which Beam's Flink runner 2.70.0 was run with; 2.99.0 is"
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "got none"),
        (["beam-runners-flink-1.20-2.70.0.jar"], "got beam-runners-flink-1.20-2.70.0.jar"),
        (["beam-runners-flink-1.19-2.62.0.jar"], "got beam-runners-flink-1.19-2.62.0.jar"),
    ],
)
def test_a_runner_of_another_release_is_refused(names: list[str], found: str) -> None:
    with pytest.raises(versions.VersionMismatch, match=f"expected beam-runners.*; {found}: run"):
        versions.check_runner_jars(names)


def test_the_engine_that_is_fetched_is_the_one_that_is_pinned() -> None:
    assert f"apache-flink-libraries=={versions.PINNED.flink} " in fetch.REQUIREMENTS.read_text()
    pom = versions.PINNED.pom
    assert "<artifactId>beam-runners-flink-1.19</artifactId>" in pom
    assert "<version>2.70.0</version>" in pom
    assert "://" not in pom.replace("http://maven.apache.org/POM/4.0.0", "")


@pytest.mark.parametrize(
    ("body", "words"),
    [(None, "there is none"), ("8.0.1", 'openjdk version "8.0.1"'), ("25", 'version "25"')],
)
def test_a_java_that_flink_does_not_run_on_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, body: str | None, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if body:
        java = tmp_path / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{body}\"' >&2\n")
        java.chmod(0o755)
    with pytest.raises(fetch.Unavailable, match="expected Java 11 to 17") as error:
        fetch.check_java()
    assert words in str(error.value)


def test_what_is_not_to_be_had_is_named_with_the_reason_and_leaves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "")
    maven = tmp_path / "bin" / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Could not find artifact X'\nexit 1\n")
    maven.chmod(0o755)
    fetch.Packages.under(tmp_path).flink.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.flink", "fetch", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr == (
        "beam-runners-flink-1.19 2.70.0, from Maven Central, is not to be had here: "
        "[ERROR] Could not find artifact X\n"
    )
    assert [f.name for f in (tmp_path / "packages").iterdir()] == ["flink-1.19.3"]


def test_a_machine_without_maven_is_told_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    fetch.Packages.under(tmp_path).flink.mkdir(parents=True)
    with pytest.raises(fetch.Unavailable, match=r"expected Maven .mvn. on the path"):
        fetch.fetch(tmp_path)


def test_packages_that_were_not_fetched_are_asked_for(tmp_path: pathlib.Path) -> None:
    with pytest.raises(fetch.Unavailable, match="run python -m pipeline.flink fetch --folder"):
        fetch.fetched(tmp_path)


def test_a_state_file_is_all_that_a_later_command_needs(
    tmp_path: pathlib.Path, cluster: state.Cluster
) -> None:
    def program(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline.flink", *words, "--folder", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True)

    assert program("args").stdout.split() == cluster.beam_args
    assert program("status").stdout.splitlines()[0] == "runs  jobmanager"
    psutil.Process(cluster.processes["taskmanager-1"].pid).kill()
    time.sleep(0.2)
    status = program("status")
    assert (status.returncode, "gone  taskmanager-1" in status.stdout) == (1, True)
    assert "stopped" in program("stop").stdout
    after = program("args")  # nothing at all would be taken for a run in memory
    assert (after.returncode, after.stdout.split()) == (1, NO_CLUSTER.split())
    assert "none was started" in after.stderr
    assert json.loads((tmp_path / clusters.PORTS).read_text())["rest"] == cluster.ports.rest
