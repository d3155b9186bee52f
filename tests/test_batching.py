"""How concurrent requests share the calls of a model: gathering, bounds, faults."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.batching import Batcher
from serving.errors import ServingError, invalid
from serving.options import Batching
from serving.signatures import Arrays, Signature, TensorSpec

COLUMN = TensorSpec(np.dtype(np.int64), "int64", (None, None))
SIGNATURE = Signature("double", "", {"x": COLUMN}, {"y": COLUMN})
SINGLE = Signature("single", "", {"x": TensorSpec(np.dtype(np.int64), "int64", ())}, {})
BAD = -1


class Doubler:
    """A model that waits until it may answer, and notes how many rows each call had."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.calls: list[int] = []

    def __call__(self, name: str, inputs: Arrays) -> Arrays:
        self.calls.append(np.shape(inputs["x"])[0] if name == "double" else 1)
        assert self.free.wait(5)
        if (inputs["x"] == BAD).any():
            raise invalid("bad row")
        return {"y": inputs["x"] * 2}


class Summer(Doubler):
    """A model that answers one row, however many it is asked."""

    def __call__(self, name: str, inputs: Arrays) -> Arrays:
        return {"y": super().__call__(name, inputs)["y"].sum(0, keepdims=True)}


def rows(*values: int) -> Arrays:
    return {"x": np.array(values, np.int64)[:, None]}


def run(scenario: Any, model: Doubler | None = None, **settings: Any) -> Doubler:
    """Runs a coroutine function of the batcher and the model it calls."""
    model = model or Doubler()

    async def whole() -> None:
        with ThreadPoolExecutor(4) as threads:
            batcher = Batcher(model, threads, Batching(**settings), lambda count: None)
            try:
                await scenario(batcher, model)
            finally:
                model.free.set()

    asyncio.run(whole())
    return model


async def started(*requests: Coroutine[Any, Any, Arrays]) -> list[asyncio.Task[Arrays]]:
    """Starts requests and lets each reach the queue."""
    tasks = [asyncio.create_task(request) for request in requests]
    await asyncio.sleep(0.02)
    return tasks


def test_an_idle_server_answers_at_once() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        answer = await asyncio.wait_for(batcher.ask(SIGNATURE, rows(3)), 1)
        assert answer["y"].tolist() == [[6]]

    assert run(scenario, batch_timeout_micros=60_000_000).calls == [1]


def test_what_arrives_during_a_call_shares_the_next_one() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, rows(n, n + 1)) for n in range(5)))
        model.free.set()
        answers = await asyncio.gather(*tasks)
        assert [a["y"].ravel().tolist() for a in answers] == [[2 * n, 2 * n + 2] for n in range(5)]

    assert run(scenario, num_batch_threads=1).calls == [2, 8]


def test_a_free_thread_takes_what_has_waited_long_enough() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, rows(n)) for n in range(3)))
        until = asyncio.get_running_loop().time() + 10
        while model.calls != [1, 2] and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        assert model.calls == [1, 2]
        model.free.set()
        await asyncio.gather(*tasks)

    run(scenario, num_batch_threads=2, batch_timeout_micros=50_000)


def test_no_call_has_more_rows_than_the_bound() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        answer = await batcher.ask(SIGNATURE, rows(*range(10)))
        assert answer["y"].ravel().tolist() == [2 * n for n in range(10)]

    assert max(run(scenario, max_batch_size=4).calls) <= 4


def test_a_bad_request_fails_alone() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, rows(n)) for n in (0, 1, BAD, 2)))
        model.free.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in found] == [dict, dict, ServingError, dict]

    run(scenario, num_batch_threads=1)


def test_a_full_queue_refuses_with_unavailable() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, rows(n)) for n in range(5)))
        with pytest.raises(ServingError, match="queue to which this task was submitted is full"):
            await batcher.ask(SIGNATURE, rows(9))
        model.free.set()
        assert len(await asyncio.gather(*tasks)) == 5

    run(scenario, num_batch_threads=1, max_batch_size=2, max_enqueued_batches=2)


def test_a_client_that_left_costs_no_rows() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        first, gone, stays = await started(*(batcher.ask(SIGNATURE, rows(n)) for n in range(3)))
        gone.cancel()
        await asyncio.sleep(0)
        model.free.set()
        assert (await stays)["y"].tolist() == [[4]]
        await first

    assert run(scenario, num_batch_threads=1).calls == [1, 1]


def test_rows_of_another_shape_are_asked_apart() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        wide = {"x": np.ones((1, 3), np.int64)}
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, x) for x in (rows(1), rows(2), wide)))
        model.free.set()
        assert [a["y"].shape for a in await asyncio.gather(*tasks)] == [(1, 1), (1, 1), (1, 3)]

    run(scenario, num_batch_threads=1)


def test_a_signature_without_a_batch_is_asked_one_by_one() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        answers = await asyncio.gather(
            *(batcher.ask(SINGLE, {"x": np.array(n)}) for n in (1, 2, 3))
        )
        assert [int(answer["y"]) for answer in answers] == [2, 4, 6]

    assert run(scenario).calls == [1, 1, 1]


def test_a_batch_is_filled_up_to_an_allowed_size() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        assert len((await batcher.ask(SIGNATURE, rows(1, 2, 3)))["y"]) == 3

    assert run(scenario, max_batch_size=4, allowed_batch_sizes=(1, 4)).calls == [4]


def test_every_request_gets_its_own_rows_under_load() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        counts = np.random.default_rng(0).integers(1, 6, 300)
        requests = [rows(*range(n, n + int(count))) for n, count in enumerate(counts)]
        answers = await asyncio.gather(*(batcher.ask(SIGNATURE, r) for r in requests))
        for request, answer in zip(requests, answers, strict=True):
            np.testing.assert_array_equal(answer["y"], request["x"] * 2)

    run(scenario, max_batch_size=16, max_enqueued_batches=1_000)


def test_a_model_that_does_not_answer_by_row_is_asked_one_request_at_a_time() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        tasks = await started(*(batcher.ask(SIGNATURE, rows(n, n)) for n in range(4)))
        model.free.set()
        answers = await asyncio.gather(*tasks)
        assert [answer["y"].tolist() for answer in answers] == [[[4 * n]] for n in range(4)]
        with pytest.raises(ServingError, match="does not equal the number of rows"):
            await batcher.ask(SIGNATURE, rows(*range(10)))

    run(scenario, Summer(), max_batch_size=8, num_batch_threads=1)


def test_a_batcher_is_settled_once_the_call_of_a_client_that_left_has_ended() -> None:
    async def scenario(batcher: Batcher, model: Doubler) -> None:
        model.free.clear()
        (gone,) = await started(batcher.ask(SIGNATURE, rows(1)))
        gone.cancel()
        settled = asyncio.create_task(batcher.settled())
        await asyncio.sleep(0.02)
        assert not settled.done()
        model.free.set()
        await asyncio.wait_for(settled, 1)

    run(scenario)
