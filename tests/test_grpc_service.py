"""The gRPC service counts its requests with REST's: what all may hold is one number."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from serving.metrics import Metrics
from serving.options import Limits
from serving.rest.body import Bodies

pytestmark = pytest.mark.slow

LIMITS = Limits(body_bytes=1_000, buffered_bytes=1_000)


class Refused(Exception):
    """A call that the service ended with a code."""


class Call:
    """Stands for gRPC's context."""

    async def abort(self, code: grpc.StatusCode, words: str) -> None:
        raise Refused(code, words)


def test_a_request_is_refused_while_bodies_of_rest_are_held() -> None:
    from tensorflow_serving.apis import predict_pb2

    from serving.grpc_service import PredictionService

    manager: Any = SimpleNamespace(models={}, find=lambda *_: pytest.fail("it was let in"))
    bodies = Bodies(LIMITS)
    service = PredictionService(manager, Metrics(), LIMITS, bodies, None)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mnist"
    with bodies.held(LIMITS.buffered_bytes), pytest.raises(Refused) as refused:
        asyncio.run(service.Predict(request, Call()))
    assert refused.value.args[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
