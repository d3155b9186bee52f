"""What a run says of an engine that is not there, is another program, or does not fit."""

import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from pipeline import engine_checks, engines
from pipeline.beam_arguments import IN_MEMORY
from pipeline.flink import __main__ as flink_main
from pipeline.flink.listening import free_ports
from pipeline.wrong_call import WrongCall

FLINK = {"flink-version": "1.19.3", "slots-total": 4}


@contextlib.contextmanager
def web_server(answer: object) -> Iterator[str]:
    """Answers every GET with this as JSON; yields HOST:PORT."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def refused(*arguments: str) -> str:
    with pytest.raises(WrongCall) as error:
        engines.check(arguments)
    return str(error.value)


def test_beams_own_runners_are_not_looked_at() -> None:
    engines.check([])
    engines.check(["--runner=DirectRunner", "--job_endpoint=nowhere"])


TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--direct_num_workers=2"],
            "expected --direct_running_mode=multi_processing with --direct_num_workers=2; "
            "in_memory is one worker, this process, whatever their number",
        ),
        (["--direct_num_workers=0"], "multi_processing with --direct_num_workers=0; in_memory is"),
        (["--direct_num_workers=-1"], "--direct_num_workers of 0 (one for each processor) or more"),
        (["--direct_num_workers=two"], "argument --direct_num_workers: invalid int value: 'two'"),
        (["--direct_running_mode=fast"], "argument --direct_running_mode: invalid choice: 'fast'"),
    ],
)
def test_workers_that_would_not_be_there_are_refused(arguments: list[str], words: str) -> None:
    for runner in ([], ["--runner=DirectRunner"]):
        assert words in refused(*runner, *arguments)


def test_workers_of_this_machine_may_be_threads_or_processes() -> None:
    engines.check(TWO_PROCESSES)
    engines.check(["--direct_running_mode=multi_threading", "--direct_num_workers=0"])


@pytest.mark.parametrize("runner", engines.ENGINES)
def test_a_job_server_that_is_not_there_is_named(runner: str) -> None:
    (port,) = free_ports(1)
    words = refused(f"--runner={runner}", f"--job_endpoint=127.0.0.1:{port}")
    assert f"expected a Beam job server at --job_endpoint=127.0.0.1:{port}" in words
    assert "nothing answers there (Connection refused): docs/flink.md" in words


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":99", "localhost:job", "h:99999"])
def test_an_address_that_is_none_is_quoted(address: str) -> None:
    words = refused("--runner=FlinkRunner", f"--job_endpoint={address}")
    assert "expected --job_endpoint=HOST:PORT, of a Beam job server; got" in words


@contextlib.contextmanager
def job_server() -> Iterator[str]:
    """Answers what Beam asks first; yields HOST:PORT."""
    describe = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    service, method = engine_checks.DESCRIBE[1:].split("/")
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: describe}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize("runner", ["PortableRunner", "FlinkRunner", "flink", "sparkrunner"])
def test_a_job_server_that_answers_will_do(runner: str) -> None:
    with job_server() as address:
        engines.check([f"--runner={runner}", f"--job_endpoint={address}"])


def test_a_job_server_in_the_same_process_will_do() -> None:
    engines.check(["--runner=PortableRunner", "--job_endpoint=embed"])


@pytest.mark.parametrize("runner", ["PortableRunner", "Flink"])
def test_what_listens_and_is_no_job_server_is_refused(runner: str) -> None:
    with web_server({}) as address:
        words = refused("--runner", runner, f"--job_endpoint={address}")
    assert f"expected a Beam job server at --job_endpoint={address}; what answers there is" in words


def test_a_runner_that_is_none_is_refused() -> None:
    words = refused("--runner=FlinkRuner")
    assert words.startswith("expected a --runner of DirectRunner, FnApiRunner, ")
    assert words.endswith("; got 'FlinkRuner'")
    engines.check(["--runner=a.module.OfSomebody"])


def test_the_portable_runner_needs_an_endpoint() -> None:
    assert "expected --job_endpoint=HOST:PORT with --runner=PortableRunner" in refused(
        "--runner=PortableRunner"
    )


@pytest.fixture
def java(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a file named `java` on the path: it is looked for, not run."""
    (tmp_path / "java").write_text("")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("java")
def test_a_flink_cluster_that_fits_will_do() -> None:
    with web_server(FLINK) as address:
        for cluster in (f"--flink_master={address}", f"--flink_master=http://{address}"):
            engines.check(["--runner=FlinkRunner", cluster, "--flink_version=1.19"])
    engines.check(["--runner=FlinkRunner", "--flink_master=[local]"])


@pytest.mark.usefixtures("java")
def test_a_flink_cluster_of_another_version_is_refused() -> None:
    with web_server(FLINK) as address:
        words = refused("--runner=FlinkRunner", f"--flink_master={address}", "--flink_version=1.20")
    assert f"expected Flink 1.20 at --flink_master={address}" in words
    assert "it is 1.19.3: the two must have the same first two numbers" in words


@pytest.mark.usefixtures("java")
def test_a_flink_cluster_that_does_not_fit_beams_default_is_refused() -> None:
    with web_server(FLINK) as address:
        words = refused("--runner=flink", f"--flink_master={address}")
    assert "as --flink_version says or Beam's default is; it is 1.19.3" in words


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"version": 2}, "what answers there is no Flink: give the address of its REST"),
        ([1], "what answers there is no Flink"),
        ({**FLINK, "slots-total": 0}, "it has none: start a task manager"),
    ],
)
def test_a_flink_master_that_is_of_no_use_is_refused(answer: object, words: str) -> None:
    with web_server(answer) as address:
        cluster = (f"--flink_master={address}", "--flink_version=1.19")
        assert words in refused("--runner=FlinkRunner", *cluster)


@pytest.mark.usefixtures("java")
def test_a_flink_master_that_is_not_there_is_named() -> None:
    (port,) = free_ports(1)
    words = refused("--runner=FlinkRunner", f"--flink_master=127.0.0.1:{port}")
    assert f"expected a Flink cluster at --flink_master=127.0.0.1:{port}; nothing answers" in words


@pytest.mark.usefixtures("java")
def test_a_job_server_file_that_is_not_there_is_named() -> None:
    words = refused("--runner=FlinkRunner", "--flink_job_server_jar=/no/such.jar")
    assert words == "expected a file at --flink_job_server_jar; /no/such.jar is not there"


def test_a_machine_without_java_is_told_of_job_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "expected Java on the path" in refused("--runner=FlinkRunner")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--parallelism=1", "expected --environment_option=process_command=FILE"),
        ("--environment_option=process_command=/etc/passwd", "/etc/passwd cannot be executed"),
        ("--environment_config={'command'", 'expected --environment_config={"command": "..."}'),
        ('--environment_config={"command": "/no/such"}', "/no/such cannot be executed"),
    ],
)
def test_a_worker_that_cannot_start_is_refused(option: str, words: str) -> None:
    job_server = ("--runner=PortableRunner", "--job_endpoint=embed")
    assert words in refused(*job_server, "--environment_type=PROCESS", option)


def test_a_worker_on_another_machine_cannot_be_looked_at() -> None:
    job_server = ("--runner=PortableRunner", "--job_endpoint=embed")
    engines.check([*job_server, "--environment_type=DOCKER"])
    command = "--environment_option=process_command=worker"
    engines.check([*job_server, "--environment_type=PROCESS", command])


def test_arguments_of_one_node_are_taken_apart() -> None:
    given = ("A=--x=1 --y='a b'", "B.c=--z", "A=--w")
    assert engines.node_arguments(given) == {"A": ["--x=1", "--y=a b", "--w"], "B.c": ["--z"]}
    for text in ("--x", "A=", "A= ", "=--x", "A=--x='b"):
        with pytest.raises(WrongCall) as error:
            engines.node_arguments([text])
        assert f"expected NODE=ARGS at --node-beam-args; got {text!r}" in str(error.value)


def test_a_node_can_be_brought_back_into_memory() -> None:
    for runner in ("--runner=DirectRunner", "--runner direct"):
        assert engines.node_arguments([f"A=--x {runner}"]) == {"A": [*IN_MEMORY, "--x"]}


class Node:
    """A node that Beam runs, as far as its arguments go."""

    def __init__(self, name: str) -> None:
        self.id, self.arguments = name, ["--all"]

    def with_beam_pipeline_args(self, arguments: list[str]) -> None:
        self.arguments += arguments


def test_workers_elsewhere_import_tfx_first() -> None:
    there = ("--runner=FlinkRunner", "--parallelism=2")
    assert engines.complete(there) == [*there, "--beam_plugin=tfx"]
    assert engines.complete([*there, "--beam_plugin=tfx"]) == [*there, "--beam_plugin=tfx"]
    assert engines.complete(IN_MEMORY) == [*IN_MEMORY]
    assert engines.complete(["--runner=DirectRunner"]) == ["--runner=DirectRunner"]
    made = engines.complete([*IN_MEMORY, *TWO_PROCESSES])
    assert made == [*IN_MEMORY, *TWO_PROCESSES, engines.LOCAL_WORKERS, "--beam_plugin=tfx"]
    assert engines.complete(made) == made
    of_a_node = engines.node_arguments(["Evaluator.sequential=--runner=SparkRunner"])
    assert of_a_node["Evaluator.sequential"][-1] == "--beam_plugin=tfx"


def test_a_node_gets_its_arguments_after_those_of_all_nodes() -> None:
    nodes = [Node("StatisticsGen"), Node("Evaluator.sequential"), object()]
    engines.give_arguments(nodes, {"Evaluator.sequential": ["--own"]})
    assert [node.arguments for node in nodes[:2]] == [["--all"], ["--all", "--own"]]
    with pytest.raises(WrongCall, match="Evaluator.sequential, StatisticsGen at --node-beam-args"):
        engines.give_arguments(nodes[:2], {"Evaluator": []})


def test_a_run_that_cannot_send_its_jobs_ends_at_once_and_writes_nothing(
    tmp_path: pathlib.Path,
) -> None:
    (port,) = free_ports(1)
    endpoint = f"--runner=FlinkRunner --job_endpoint=127.0.0.1:{port}"
    options = ["--profile", "smoke", "--workdir", str(tmp_path / "w")]
    cases = (
        (["--", *endpoint.split()], "nothing answers there"),
        (["--node-beam-args", f"StatisticsGen={endpoint}"], "nothing answers there"),
        (["--node-beam-args", "Evaluator=--x"], "expected a Beam node of Evaluator.alexnet, "),
        (["--", *flink_main.NO_CLUSTER.split()], "expected --job_endpoint=HOST:PORT"),
    )
    for more, words in cases:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "run", *options, *more],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2
        assert words in done.stdout
    assert not (tmp_path / "w").exists()
