"""The commands versions, promote and rollback, alone and while a server runs."""

import contextlib
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving import model_config, promotion, rollout
from serving.model_config import ModelConfig, Policy
from serving.server_state import Server, version_states
from serving.version_commands import promote_version, roll_back, show_versions

SILENT = Server("http://127.0.0.1:9")  # discard: nothing answers
POLL = ("--poll-seconds", "0.1")


def put(base: Path, *numbers: int) -> None:
    for number in numbers:
        (base / str(number)).mkdir(parents=True)
        (base / str(number) / "saved_model.pb").write_text("graph")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with the complete versions 1, 2 and 3, and with 4, which is not."""
    folder = tmp_path / "serving" / "mnist"
    put(folder, 1, 2, 3)
    (folder / "4").mkdir()
    return folder


def state(base: Path) -> tuple[Policy, dict[str, int], int]:
    """Returns policy, labels, and the version that serves."""
    config = model_config.config_of(base)
    return config.policy, dict(config.labels), model_config.served_version(base)


def pinned(*versions: int) -> Policy:
    return Policy("specific", versions=versions)


class ServerLikeTfServing(http.server.ThreadingHTTPServer):
    """Loads and labels as TF Serving does, at each request; it answers the status alone.

    Attributes:
      broken: versions that it cannot load.
      refused: labels that it refused to move, since their version was not loaded.
    """

    def __init__(self, base: Path) -> None:
        super().__init__(("127.0.0.1", 0), Status)
        self.base, self.broken = base, set[int]()
        self.refused: list[str] = []
        self.token = ""
        self._loaded: set[int] = set()
        self._labels: dict[str, int] = {}
        self.look()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def look(self) -> dict[int, str]:
        """Follows the configuration; returns the state of each version."""
        config = model_config.config_of(self.base)
        moved = {k for k, v in config.labels.items() if self._labels.get(k, v) != v}
        self.refused += [k for k in moved if config.labels[k] not in self._loaded]
        self._labels = dict(config.labels)
        wanted = config.policy.wanted([1, 2, 3])
        states = {v: "END" if v in self.broken else "AVAILABLE" for v in wanted}
        self._loaded = {version for version, state in states.items() if state == "AVAILABLE"}
        return states


class Status(http.server.BaseHTTPRequestHandler):
    """Answers GET /v1/models/mnist."""

    server: ServerLikeTfServing

    def do_GET(self) -> None:
        if self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}":
            self.send_error(401)
            return
        entries = [
            {
                "version": str(version),
                "state": state,
                "status": {"error_message": "no weights" if state == "END" else ""},
            }
            for version, state in self.server.look().items()
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"model_version_status": entries}).encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing: pytest shows what matters."""


@pytest.fixture
def server(base: Path) -> Iterator[ServerLikeTfServing]:
    with ServerLikeTfServing(base) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_promotion_pins_the_version_and_makes_it_stable(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote_version(base, "2", server=SILENT) == 0
    assert state(base) == (pinned(2), {"stable": 2}, 2)
    assert "mnist: 2 serves and is stable; newer versions wait." in capsys.readouterr().out
    put(base, 5)
    assert state(base)[2] == 2


def test_a_second_promotion_changes_nothing(base: Path) -> None:
    assert promote_version(base, "2", server=SILENT) == 0
    before = model_config.file_of(base).read_text()
    assert promote_version(base, "2", server=SILENT) == 0
    assert model_config.file_of(base).read_text() == before


def test_the_first_canary_makes_what_serves_stable(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote_version(base, "1", "canary", SILENT) == 0
    assert state(base) == (pinned(1, 3), {"stable": 3, "canary": 1}, 3)
    words = capsys.readouterr().out
    assert "3 is stable, 1 is canary" in words
    assert "Requests without a label reach 3, the larger number" in words
    assert "/v1/models/mnist/labels/stable" in words


def test_a_newer_canary_gets_the_requests_without_a_label_and_stable_stays(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "1", server=SILENT)
    for _ in range(2):
        assert promote_version(base, "3", "canary", SILENT) == 0
        assert state(base) == (pinned(1, 3), {"stable": 1, "canary": 3}, 3)
    assert "Requests without a label reach 3" in capsys.readouterr().out


def test_a_canary_that_is_promoted_is_stable_and_alone(base: Path) -> None:
    promote_version(base, "1", server=SILENT)
    promote_version(base, "3", "canary", SILENT)
    promote_version(base, "3", server=SILENT)
    assert state(base) == (pinned(3), {"stable": 3}, 3)


def test_promoting_latest_follows_what_is_pushed_again(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "1", server=SILENT)
    assert promote_version(base, "latest", server=SILENT) == 0
    assert state(base) == (Policy(), {}, 3)
    assert "the newest version serves, now 3; no labels" in capsys.readouterr().out
    put(base, 5)
    assert state(base)[2] == 5


def test_a_rollback_goes_one_complete_version_back_and_stays_there(base: Path) -> None:
    assert roll_back(base, SILENT) == 0
    assert state(base) == (pinned(2), {"stable": 2}, 2)
    put(base, 5)
    assert state(base)[2] == 2
    assert roll_back(base, SILENT) == 0
    assert state(base) == (pinned(1), {"stable": 1}, 1)


def test_a_rollback_of_a_canary_goes_back_to_the_stable_version(base: Path) -> None:
    promote_version(base, "1", server=SILENT)
    promote_version(base, "3", "canary", SILENT)
    assert roll_back(base, SILENT) == 0
    assert state(base) == (pinned(1), {"stable": 1}, 1)


def test_a_rollback_passes_over_what_is_not_complete(base: Path) -> None:
    (base / "2" / "saved_model.pb").unlink()
    assert roll_back(base, SILENT) == 0
    assert state(base)[2] == 1


def test_a_rollback_with_nothing_before_says_so_and_changes_nothing(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "1", server=SILENT)
    before = model_config.file_of(base).read_text()
    assert roll_back(base, SILENT) == 2
    words = "expected a version before the one that serves (1); the complete ones are 1, 2, 3\n"
    assert capsys.readouterr().err == words
    assert model_config.file_of(base).read_text() == before


@pytest.mark.parametrize(
    ("version", "label", "words"),
    [
        ("4", "stable", "expected a complete version, of 1, 2, 3; got 4"),
        ("7", "canary", "expected a complete version, of 1, 2, 3; got 7"),
        ("newest", "stable", "a number for stable, or `latest` without a label; got 'newest'"),
        ("latest", "canary", "a number for canary, or `latest` without a label; got 'latest'"),
        ("3", "canary", "expected another version than 3 to be stable beside the canary"),
    ],
)
def test_what_cannot_be_promoted_is_said_and_nothing_is_written(
    version: str, label: str, words: str, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote_version(base, version, label, SILENT) == 2
    assert words in capsys.readouterr().err
    assert not model_config.file_of(base).exists()


@pytest.mark.parametrize("version", ["1", "latest"])
def test_a_workdir_that_is_not_there_is_not_made(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "no" / "serving" / "mnist"
    assert promote_version(nowhere, version, server=SILENT) == roll_back(nowhere, SILENT) == 2
    assert f"expected versions in {nowhere}; `mnist-tfx run`" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_wrong_file_is_named_and_left(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = model_config.file_of(base)
    file.write_text("nonsense")
    codes = promote_version(base, "1", server=SILENT), roll_back(base), show_versions(base)
    assert codes == (2, 2, 2)
    words = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in words] == [str(file)] * 3
    assert file.read_text() == "nonsense"


def test_a_running_server_loads_a_version_before_its_label_moves(
    base: Path, server: ServerLikeTfServing, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in ("3", "1", "2"):
        assert promote_version(base, number, server=Server(server.url)) == 0
        assert f"The server at {server.url} has loaded what that takes." in capsys.readouterr().out
    assert roll_back(base, Server(server.url)) == 0
    server.look()
    assert server.refused == []
    assert state(base) == (pinned(1), {"stable": 1}, 1)


def test_moving_a_label_at_once_is_what_tf_serving_refuses(
    base: Path, server: ServerLikeTfServing
) -> None:
    """The reason for the two steps."""
    for number in (3, 1):
        target = promotion.stable_at(model_config.config_of(base), [1, 2, 3], number)
        model_config.put(target)
        server.look()
    assert server.refused == ["stable"]


def test_a_version_that_a_server_cannot_load_is_not_promoted(
    base: Path, server: ServerLikeTfServing, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "3", server=Server(server.url))
    before = model_config.file_of(base).read_text()
    server.broken.add(2)
    assert roll_back(base, Server(server.url)) == 1
    assert capsys.readouterr().err == (
        f"mnist 2 cannot be served: no weights\n{base} is served as before.\n"
    )
    assert model_config.file_of(base).read_text() == before


def test_what_another_command_wrote_while_a_version_was_being_loaded_holds(
    base: Path,
    server: ServerLikeTfServing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    promote_version(base, "3", server=Server(server.url))
    load = rollout._await

    def load_while_another_comes(*given: Any) -> None:
        load(*given)
        promote_version(base, "1", server=SILENT)

    monkeypatch.setattr(rollout, "_await", load_while_another_comes)
    capsys.readouterr()
    assert promote_version(base, "2", server=Server(server.url)) == 1
    assert "another command changed what mnist serves meanwhile; that holds" in (
        capsys.readouterr().err
    )
    assert state(base) == (pinned(1), {"stable": 1}, 1)


def test_a_server_that_looks_elsewhere_does_not_hold_a_promotion_up(
    base: Path,
    tmp_path: Path,
    server: ServerLikeTfServing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(rollout, "NOTICE_SECONDS", 0.2)
    elsewhere = tmp_path / "elsewhere" / "serving" / "mnist"
    put(elsewhere, 7, 8)
    assert promote_version(elsewhere, "7", server=Server(server.url)) == 0
    assert state(elsewhere) == (pinned(7), {"stable": 7}, 7)
    assert "A server that runs takes it over within seconds" in capsys.readouterr().out


def test_the_table_lists_newest_first_what_is_there_and_what_is_missing(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "2", server=SILENT)
    promote_version(base, "1", "canary", SILENT)
    capsys.readouterr()
    assert show_versions(base, SILENT) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["version", "date", "size", "files", "labels", "policy", "server"]
    cells = [row.split() for row in rows[:4]]
    assert [row[0] for row in cells] == ["4", "3", "2", "1"]
    assert cells[0][-5:] == ["lacks", "saved_model.pb", "-", "-", "-"]
    assert [row[-4:] for row in cells[1:]] == [
        ["complete", "-", "-", "-"],
        ["complete", "stable", "wanted", "-"],
        ["complete", "canary", "wanted", "-"],
    ]
    assert rows[4].startswith("Requests without a label reach 2: the folder is pinned; `mnist-tfx")
    assert rows[5] == f"No model server that knows mnist answers at {SILENT.url}."


def test_the_table_shows_what_a_server_says(
    base: Path, server: ServerLikeTfServing, capsys: pytest.CaptureFixture[str]
) -> None:
    server.broken.add(3)
    assert show_versions(base, Server(server.url)) == 0
    words = capsys.readouterr().out
    assert "wanted  END: no weights\n" in words
    assert "Requests without a label reach 3, the newest.\n" in words
    assert "No model server" not in words


def test_the_table_names_labels_of_versions_that_are_gone(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_version(base, "2", server=SILENT)
    shutil.rmtree(base / "2")
    show_versions(base, SILENT)
    words = capsys.readouterr().out
    assert "Requests without a label reach none: the folder is pinned" in words
    assert "2 is named by the label stable, but is not there or not complete." in words


def test_an_empty_folder_says_how_to_fill_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_versions(tmp_path / "serving" / "mnist", SILENT) == 0
    assert "; `mnist-tfx run` pushes one." in capsys.readouterr().out


def test_a_server_that_wants_a_token_is_asked_with_it(server: ServerLikeTfServing) -> None:
    server.token = "s3cret"
    assert version_states(Server(server.url), "mnist") is None
    found = version_states(Server(server.url, "s3cret"), "mnist")
    assert found
    assert found[3].state == "AVAILABLE"


@pytest.mark.parametrize("url", ["no url", "ftp://127.0.0.1", "http://nowhere.invalid:99999"])
def test_an_address_that_makes_no_sense_is_no_server(
    url: str, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_versions(base, Server(url)) == 0
    assert f"No model server that knows mnist answers at {url}." in capsys.readouterr().out


@pytest.mark.slow
def test_the_embedded_server_answers_every_request_while_labels_move(
    running_server: Callable[..., Any], save_digits: Callable[..., None], tmp_path: Path
) -> None:
    base = tmp_path / "serving" / "mnist"
    for seed in (1, 2):
        save_digits(base / str(seed), seed)
    promote_version(base, "2", server=SILENT)
    body = json.dumps({"instances": [[[0] * 28] * 28]}).encode()
    done = threading.Event()
    seen: list[tuple[int, str]] = []
    options = ("--model-config-file", model_config.file_of(base), *POLL)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(*options))

        def ask() -> None:
            while not done.is_set():
                for place in ("", "/labels/stable"):
                    answer = server.client.post(f"/v1/models/mnist{place}:predict", content=body)
                    seen.append((answer.status_code, answer.headers.get("x-model-version", "")))

        pool = stack.enter_context(ThreadPoolExecutor(1))
        asking = pool.submit(ask)
        this = Server(str(server.client.base_url))
        codes = [
            roll_back(base, this),
            promote_version(base, "2", server=this),
            roll_back(base, this),
        ]
        done.set()
        asking.result()  # raises what became of a request that got no answer
    assert codes == [0, 0, 0]
    assert {code for code, _ in seen} == {200}
    assert {version for _, version in seen} == {"1", "2"}
    assert model_config.read(model_config.file_of(base)) == (
        ModelConfig("mnist", base, pinned(1), {"stable": 1}),
    )
