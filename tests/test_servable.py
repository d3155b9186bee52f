"""Which versions serve: of what lies in the folder, of what the configuration says, while it runs.

The folders hold real models; `refresh` is called instead of waiting for its turn.
"""

import asyncio
import errno
import json
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving import model_config
from serving.metrics import Metrics
from serving.model_config import ModelConfig, Policy
from serving.options import Limits, ModelSource, Options
from serving.signatures import Arrays

pytestmark = pytest.mark.slow

IMAGE = {"image": np.full((1, 28, 28), 7, np.uint8)}
Scenario = Callable[[Any], Awaitable[None]]


@pytest.fixture
def base(tmp_path: Path, served_digits: Path) -> Path:
    """A folder with version 1, to be changed."""
    shutil.copytree(served_digits, tmp_path / "mnist")
    return tmp_path / "mnist"


def add(base: Path, number: int) -> Path:
    return Path(shutil.copytree(base / "1", base / str(number)))


def run(base: Path, scenario: Scenario, config_file: Path | None = None) -> None:
    """Runs a coroutine function of a manager that has looked at the folder once."""
    from serving.manager import Manager

    async def whole() -> None:
        models = () if config_file else (ModelSource("mnist", base),)
        options = Options(models, config_file, contract=True)
        manager = Manager(options, Metrics())
        try:
            await manager.refresh()
            await scenario(manager)
        finally:
            await manager.close()

    asyncio.run(whole())


def states(manager: Any, name: str = "mnist") -> dict[int, str]:
    """Returns `serves` or why not, by version."""
    from serving.version import AVAILABLE

    return {
        number: "serves" if version.state == AVAILABLE else version.message
        for number, version in manager.models[name].versions.items()
    }


def newest(manager: Any) -> int:
    """Returns the version that answers a request which names none."""
    return int(manager.find("mnist").number)


async def ask(version: Any) -> Arrays:
    with version.used():
        answer: Arrays = await version.ask(version.signatures["serving_default"], IMAGE)
    return answer


def lose_the_shard(version: Path) -> None:
    (version / "variables" / "variables.data-00000-of-00001").unlink()


def truncate_the_graph(version: Path) -> None:
    os.truncate(version / "saved_model.pb", 1_000)


def empty(version: Path) -> None:
    shutil.rmtree(version)
    version.mkdir()


def damage_the_warm_up(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no record" * 9)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lose_the_shard, "cannot be read"),
        (truncate_the_graph, "saved_model.pb"),
        (empty, "expected saved_model.pb in"),
        (damage_the_warm_up, "corrupted record"),
    ],
)
def test_a_bad_version_is_reported_and_serves_once_its_files_are_others(
    base: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(add(base, 2))

    async def scenario(manager: Any) -> None:
        assert newest(manager) == 1
        assert words in states(manager)[2]
        bad = manager.models["mnist"].versions[2]
        await manager.refresh()
        assert manager.models["mnist"].versions[2] is bad, "not tried again for nothing"
        shutil.rmtree(base / "2")
        add(base, 2)
        await manager.refresh()
        assert newest(manager) == 2

    run(base, scenario)


def test_a_version_that_failed_for_a_passing_reason_is_tried_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving import checking, retries

    add(base, 2)

    async def scenario(manager: Any) -> None:
        assert newest(manager) == 1
        assert states(manager)[2] == "[Errno 5] Input/output error"
        passing.undo()
        await manager.refresh()
        assert newest(manager) == 1, "not before a minute has passed"
        monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.0)
        await manager.refresh()
        assert newest(manager) == 2

    def fails(folder: Path) -> None:
        if folder.name == "2":
            raise OSError(errno.EIO, "Input/output error")

    with pytest.MonkeyPatch.context() as passing:
        passing.setattr(checking, "check_files", fails)
        run(base, scenario)


def test_a_version_that_fails_for_good_is_not_tried_for_ever(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving import retries

    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.0)
    truncate_the_graph(add(base, 2))

    async def scenario(manager: Any) -> None:
        tried = [manager.models["mnist"].versions[2]]
        for _ in range(retries.RETRIES + 2):
            await manager.refresh()
            tried.append(manager.models["mnist"].versions[2])
        assert len({id(version) for version in tried}) == 1 + retries.RETRIES
        assert newest(manager) == 1

    run(base, scenario)


def test_weights_that_are_not_finite_never_serve(
    base: Path, save_digits: Callable[..., None]
) -> None:
    save_digits(base / "2", bias=float("nan"))

    async def scenario(manager: Any) -> None:
        assert newest(manager) == 1
        assert "expected finite weights" in states(manager)[2]

    run(base, scenario)


def test_a_model_of_another_contract_never_serves(base: Path) -> None:
    import tensorflow as tf

    signature = tf.function(lambda x: {"y": x}, [tf.TensorSpec((None,), tf.float32, "x")])
    other = {"serving_default": signature}
    tf.saved_model.save(tf.Module(), str(base / "2"), signatures=other)

    async def scenario(manager: Any) -> None:
        assert newest(manager) == 1
        assert states(manager)[2].startswith("expected inputs {'image': 'uint8[None, 28, 28]'}")

    run(base, scenario)


def test_the_new_version_takes_over_and_the_old_one_ends_after_its_requests(base: Path) -> None:
    from serving.version import AVAILABLE, END, UNLOADING

    async def scenario(manager: Any) -> None:
        old = manager.find("mnist")
        with old.used():
            add(base, 2)
            await manager.refresh()
            assert newest(manager) == 2
            assert old.state == UNLOADING
            answer = await ask(old)
            assert answer["probabilities"].shape == (1, 10)
        for _ in range(100):
            await asyncio.sleep(0.01)
            if old.state == END:
                break
        assert (old.state, old.model) == (END, None)
        assert manager.find("mnist").state == AVAILABLE

    run(base, scenario)


def test_what_serves_stays_when_the_folder_is_emptied_and_goes_with_its_replacement(
    base: Path,
) -> None:
    async def scenario(manager: Any) -> None:
        (base / "1").rename(base / "hidden")
        await manager.refresh()
        assert newest(manager) == 1
        (base / "hidden").rename(base / "3")
        await manager.refresh()
        assert newest(manager) == 3
        assert manager.models["mnist"].serves

    run(base, scenario)


def test_a_folder_that_is_no_version_is_left_alone(base: Path) -> None:
    for name in ("tmp-5", str(2**63), "²"):
        shutil.copytree(base / "1", base / name)
    (base / "7").write_text("a file")

    async def scenario(manager: Any) -> None:
        assert states(manager) == {1: "serves"}

    run(base, scenario)


def write(file: Path, base: Path, policy: Policy, **labels: int) -> None:
    model_config.write(file, [ModelConfig("mnist", base, policy, labels)])


def test_policy_and_labels_follow_the_configuration_while_it_changes(base: Path) -> None:
    from serving.errors import ServingError

    file = base.parent / "models.config"
    for number in (2, 3):
        add(base, number)
    write(file, base, Policy("specific", versions=(1, 2)), stable=1, canary=2)

    async def scenario(manager: Any) -> None:
        assert states(manager) == {2: "serves", 1: "serves"}
        assert manager.find("mnist", label="stable").number == 1
        assert manager.find("mnist", label="canary").number == 2
        with pytest.raises(ServingError, match="Unrecognized servable version label: other"):
            manager.find("mnist", label="other")

        write(file, base, Policy("all"), stable=3)
        await manager.refresh()
        assert manager.find("mnist", label="stable").number == 3
        assert manager.find("mnist", number=1).number == 1

        write(file, base, Policy("latest", num_versions=2))
        await manager.refresh()
        assert newest(manager) == 3
        with pytest.raises(ServingError, match=r"Specific\(mnist, 1\)"):
            manager.find("mnist", number=1)

    run(base, scenario, file)


def test_a_label_moves_when_its_version_serves(base: Path) -> None:
    file = base.parent / "models.config"
    lose_the_shard(add(base, 2))
    write(file, base, Policy("specific", versions=(1,)), stable=1)

    async def scenario(manager: Any) -> None:
        write(file, base, Policy("specific", versions=(2,)), stable=2)
        await manager.refresh()
        assert "cannot be read" in states(manager)[2]
        assert manager.find("mnist", label="stable").number == 1
        shutil.rmtree(base / "2")
        add(base, 2)
        await manager.refresh()
        assert manager.find("mnist", label="stable").number == 2

    run(base, scenario, file)


def test_a_configuration_that_could_not_be_read_once_is_read_the_next_time(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = base.parent / "models.config"
    add(base, 2)
    write(file, base, Policy())

    async def scenario(manager: Any) -> None:
        write(file, base, Policy("specific", versions=(1,)))
        with monkeypatch.context() as patch:

            def fails(*_: object) -> str:
                raise OSError(errno.EIO, "Input/output error")

            patch.setattr(Path, "read_text", fails)
            await manager.refresh()
        assert newest(manager) == 2
        await manager.refresh()
        assert newest(manager) == 1

    run(base, scenario, file)


def test_a_wrong_configuration_is_told_of_once_and_the_one_before_stays(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = base.parent / "models.config"
    write(file, base, Policy())

    async def scenario(manager: Any) -> None:
        file.write_text("no configuration")
        for _ in range(3):
            await manager.refresh()
        assert newest(manager) == 1
        told = [r for r in caplog.records if "the one before stays" in r.message]
        assert len(told) == 1
        assert str(file) in told[0].message

    run(base, scenario, file)


def test_a_model_that_is_named_no_more_is_let_go_and_may_come_back(base: Path) -> None:
    from serving.errors import ServingError

    file = base.parent / "models.config"
    write(file, base, Policy())

    async def scenario(manager: Any) -> None:
        model_config.write(file, [])
        await manager.refresh()
        with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(mnist\)"):
            manager.find("mnist")
        write(file, base, Policy())
        await manager.refresh()
        assert newest(manager) == 1

    run(base, scenario, file)


def test_a_folder_that_cannot_be_looked_at_hurts_no_other_model(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = base.parent / "models.config"
    endless = base.parent / ("x" * 300)  # no file system has such names
    configs = [ModelConfig("endless", endless), ModelConfig("mnist", base)]
    model_config.write(file, configs)

    async def scenario(manager: Any) -> None:
        await manager.refresh()
        assert newest(manager) == 1
        assert len([r for r in caplog.records if "endless" in r.message]) == 1

    with caplog.at_level(logging.ERROR):
        run(base, scenario, file)


def test_the_call_of_a_client_that_left_ends_before_the_model_goes(base: Path) -> None:
    async def scenario(manager: Any) -> None:
        version = manager.find("mnist")
        gone = asyncio.create_task(ask(version))
        await asyncio.sleep(0)
        gone.cancel()
        await manager.close()
        assert version.model is None

    run(base, scenario)


def test_a_large_request_that_is_still_being_read_keeps_its_version(base: Path) -> None:
    from serving.rest import predict

    body = json.dumps({"instances": IMAGE["image"].tolist() * 50}).encode()
    assert len(body) > predict.LARGE
    closing = []

    async def scenario(manager: Any) -> None:
        def find() -> Any:
            closing.append(asyncio.create_task(manager.close()))
            return manager.find("mnist")

        text, number = await predict.predict("mnist", find, body, 50, None)
        assert len(json.loads(text)["predictions"]) == 50
        assert number == 1
        await asyncio.gather(*closing)

    run(base, scenario)


def test_a_version_of_thousands_of_digits_is_refused(base: Path) -> None:
    from serving.rest.api import RestApi
    from serving.rest.body import Bodies

    async def scenario(manager: Any) -> None:
        api = RestApi(manager, Metrics(), Limits(), Bodies(Limits()), None)
        transport = httpx.ASGITransport(app=api)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            answer = await client.get("/v1/models/mnist/versions/" + "9" * 5_000)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Failed to convert version: 999")

    run(base, scenario)
