"""TF Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus, and gRPC's health."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.errors import Code, ServingError, invalid
from serving.grpc_tensors import read_inputs
from serving.manager import Manager
from serving.metrics import Metrics
from serving.options import Limits, Options
from serving.rest import status
from serving.rest.body import Bodies
from serving.rest.predict import Offer, microseconds_since, off_loop
from serving.signatures import DEFAULT_SIGNATURE, Arrays, Signature
from serving.version import Version

STATUS = {code.value[0]: code for code in grpc.StatusCode}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers Predict and GetModelMetadata; the other methods say that they are not there."""

    def __init__(
        self,
        manager: Manager,
        metrics: Metrics,
        limits: Limits,
        bodies: Bodies,
        offer: Offer | None,
    ) -> None:
        """Takes the models, the count of bodies, and what is told of each answered request."""
        self._manager, self._metrics, self._limits = manager, metrics, limits
        self._offer, self._bodies = offer, bodies

    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Answers one request."""
        return await _answered(context, lambda: self._predict(request))

    async def GetModelMetadata(
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.aio.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers with the signatures."""

        async def answer() -> get_model_metadata_pb2.GetModelMetadataResponse:
            version = _version(self._manager, request.model_spec)
            if list(request.metadata_field) != ["signature_def"]:
                raise invalid("expected metadata_field to be 'signature_def' alone")
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            _fill_spec(response.model_spec, request.model_spec.name, version, "")
            response.metadata["signature_def"].Pack(status.signature_map(version))
            return response

        return await _answered(context, answer)

    async def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        start = time.perf_counter()
        name, code = request.model_spec.name, Code.INTERNAL.name
        try:
            with self._bodies.held(request.ByteSize()):
                response = await self._ask(request)
            code = "OK"
            return response
        except ServingError as error:
            code = error.code.name
            raise
        except asyncio.CancelledError:
            code = Code.CANCELLED.name
            raise
        finally:
            if name in self._manager.models:
                self._metrics.requests.add(name, code)
                latency = self._metrics.latency.labels(name, "predict", "GRPC")
                latency.observe(microseconds_since(start))

    async def _ask(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        version = _version(self._manager, request.model_spec)
        with version.used():
            signature = _signature(version, request.model_spec.signature_name)
            size = request.ByteSize()
            inputs = await off_loop(size, read_inputs, request, signature, self._limits)
            outputs = await version.ask(signature, inputs)
        if self._offer:
            name = request.model_spec.name
            self._offer(name, version.number, signature.name, inputs, outputs)
        return _response(request, version, signature, outputs)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Answers GetModelStatus."""

    def __init__(self, manager: Manager) -> None:
        """Takes the models."""
        self._manager = manager

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.aio.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers with the states of the versions."""

        async def answer() -> get_model_status_pb2.GetModelStatusResponse:
            spec = request.model_spec
            return status.model_status(self._manager, spec.name, _number(spec), _label(spec))

        return await _answered(context, answer)


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Lets in calls only with the token; health stays open."""

    def __init__(self, token: str) -> None:
        """Takes the token."""
        self._expected = f"Bearer {token}"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Refuses with UNAUTHENTICATED, or goes on."""
        given = str(dict(details.invocation_metadata).get("authorization", ""))
        allowed = hmac.compare_digest(given.encode(), self._expected.encode())
        if allowed or details.method.startswith("/grpc.health."):
            return await continuation(details)

        async def refuse(_: Any, context: grpc.aio.ServicerContext) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected metadata authorization")

        return grpc.unary_unary_rpc_method_handler(refuse)


def make_server(
    options: Options, manager: Manager, metrics: Metrics, bodies: Bodies, offer: Offer | None
) -> grpc.aio.Server:
    """Returns a gRPC server with all services, bound to no port yet."""
    server = grpc.aio.server(
        interceptors=[TokenInterceptor(options.token)] if options.token else [],
        options=[
            ("grpc.max_receive_message_length", options.limits.body_bytes),
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction = PredictionService(manager, metrics, options.limits, bodies, offer)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(manager), server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    return server


async def _answered(context: grpc.aio.ServicerContext, answer: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await answer()
    except ServingError as error:
        await context.abort(STATUS[error.code.grpc_number], error.message)


def _version(manager: Manager, spec: model_pb2.ModelSpec) -> Version:
    if not spec.name:
        raise invalid("Missing ModelSpec")
    return manager.find(spec.name, _number(spec), _label(spec))


def _signature(version: Version, name: str) -> Signature:
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in version.signatures:
        words = f'Serving signature key "{wanted}" not found.'
        raise ServingError(Code.FAILED_PRECONDITION, words)
    return version.signatures[wanted]


def _number(spec: model_pb2.ModelSpec) -> int | None:
    return spec.version.value if spec.HasField("version") else None


def _label(spec: model_pb2.ModelSpec) -> str | None:
    return spec.version_label or None


def _fill_spec(spec: model_pb2.ModelSpec, name: str, version: Version, signature_name: str) -> None:
    spec.name, spec.signature_name = name, signature_name
    spec.version.value = version.number


def _response(
    request: predict_pb2.PredictRequest, version: Version, signature: Signature, outputs: Arrays
) -> predict_pb2.PredictResponse:
    unknown = set(request.output_filter) - set(outputs)
    if unknown:
        raise invalid(f"output tensor alias not found in signature: {', '.join(sorted(unknown))}")
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, request.model_spec.name, version, signature.name)
    for key in request.output_filter or outputs:
        response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
    return response
