"""How the validator starts, awaits and ends a server, with small programs in the server's place."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from components.serving_validator import guard, process
from tests.ended import ended

ROOT = pathlib.Path(__file__).resolve().parents[1]
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"
SECONDS = 10.0


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def gone(pid: int) -> bool:
    """Waits until a process has ended; a zombie has."""
    try:
        asked = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    deadline = time.monotonic() + SECONDS
    while not ended(asked) and time.monotonic() < deadline:
        time.sleep(0.02)
    return ended(asked)


def written(file: pathlib.Path) -> str:
    """Returns what a program has written to a file, once it has."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not (file.is_file() and file.read_text().strip()):
        time.sleep(0.02)
    return file.read_text()


def test_every_model_is_served_under_its_name_on_free_ports(tmp_path: pathlib.Path) -> None:
    bases = {"vgg16": tmp_path / "a", "alexnet-book": tmp_path / "b"}
    command = process.server_command(bases, tmp_path / "ready.json")
    assert command[:4] == [sys.executable, "-P", "-m", "serving"]
    assert " ".join(command[4:]) == (
        f"--model-name vgg16 --model-base-path {tmp_path}/a "
        f"--model-name alexnet-book --model-base-path {tmp_path}/b "
        f"--port 0 --grpc-port 0 --ready-file {tmp_path}/ready.json"
    )


def test_the_port_is_read_from_the_ready_file(tmp_path: pathlib.Path) -> None:
    ready, log = tmp_path / "ready.json", tmp_path / "log"
    text = f"open({str(ready)!r}, 'w').write('{{\"rest_port\": 123}}'); {SLEEP}"
    with process.started(program(text), log) as server:
        assert process.wait_until_ready(server, ready, log) == 123
        assert server.poll() is None
    assert server.poll() is not None


def test_a_server_that_ends_says_its_last_words(tmp_path: pathlib.Path) -> None:
    text = "import sys; print('first'); print('\\n'.join('abc')); sys.exit(7)"
    with (
        process.started(program(text), tmp_path / "log") as server,
        pytest.raises(process.ServerFailed) as caught,
    ):
        process.wait_until_ready(server, tmp_path / "ready.json", tmp_path / "log")
    words = "the server ended with code 7 before it was ready: a | b | c"
    assert str(caught.value) == words


def test_a_server_that_hangs_is_given_up_and_ended(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    text = f"import os; print(os.getpid(), flush=True); {SLEEP}"
    with (
        pytest.raises(process.ServerFailed, match=r"the server was not ready in 0.5 s: \d+"),
        process.started(program(text), log) as server,
    ):
        process.wait_until_ready(server, tmp_path / "ready.json", log, seconds=0.5)
    assert gone(int(written(log)))


def test_a_server_that_wrote_nothing_is_said_to(tmp_path: pathlib.Path) -> None:
    with (
        process.started(program("raise SystemExit(3)"), tmp_path / "log") as server,
        pytest.raises(process.ServerFailed, match="code 3 before it was ready: it wrote nothing"),
    ):
        process.wait_until_ready(server, tmp_path / "ready.json", tmp_path / "log")


def test_the_server_sees_nothing_of_our_environment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    log = tmp_path / "log"
    with process.started(program("import os; print(*os.environ)"), log):
        found = set(written(log).split())
    assert found - {"LC_CTYPE"} == {*process.ENVIRONMENT}  # Python itself sets LC_CTYPE
    assert process.ENVIRONMENT["TF_USE_LEGACY_KERAS"] == "0"


def test_an_error_in_the_block_ends_the_server(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    text = f"import os; print(os.getpid(), flush=True); {SLEEP}"
    with contextlib.suppress(ZeroDivisionError), process.started(program(text), log):
        pid = int(written(log))
        raise ZeroDivisionError
    assert gone(pid)


def test_the_server_does_not_outlive_a_node_that_is_killed(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    server = program(f"import os; print(os.getpid(), flush=True); {SLEEP}")
    node = (
        "import pathlib, time; from components.serving_validator import process\n"
        f"with process.started({server!r}, pathlib.Path({str(log)!r})): time.sleep(60)"
    )
    with subprocess.Popen(program(node), cwd=ROOT) as killed:
        pid = int(written(log))
        killed.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_a_server_that_does_not_heed_sigterm_is_killed() -> None:
    text = (
        "from components.serving_validator import guard\n"
        f"raise SystemExit(guard.main({program(f'{DEAF}; {SLEEP}')!r}, grace_seconds=0.2))"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(program(text), stdin=pipe, stdout=pipe, cwd=ROOT) as guarding:
        assert guarding.stdout is not None
        assert guarding.stdout.readline() == b"up\n"
        guarding.communicate(timeout=SECONDS)
    assert guarding.returncode == 128 + signal.SIGKILL


def test_a_signal_is_told_as_a_shell_does(tmp_path: pathlib.Path) -> None:
    text = f"import os; os.kill(os.getpid(), {int(signal.SIGABRT)})"
    command = [sys.executable, "-P", "-m", guard.__name__, *program(text)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as guarding:
        assert guarding.wait(SECONDS) == 128 + signal.SIGABRT
