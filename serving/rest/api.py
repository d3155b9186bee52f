"""The ASGI application below /v1: paths, answers and errors as TF Serving has them."""

import asyncio
import functools
import json
import logging
import re
import time
import urllib.parse

from starlette.types import Receive, Scope, Send

from serving.errors import Code, ServingError, invalid
from serving.manager import Manager
from serving.metrics import Metrics
from serving.options import Limits
from serving.rest import classify, predict, status
from serving.rest.body import Bodies, ClientGone
from serving.servable import LARGEST_VERSION

LOG = logging.getLogger(__name__)
WHICH = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
POST = re.compile(rf"/v1/models/([^/:]+){WHICH}:(classify|regress|predict)", re.IGNORECASE)
GET = re.compile(rf"/v1/models(?:/([^/:]+))?{WHICH}(?:/(metadata))?", re.IGNORECASE)
MOST_DIGITS = 64  # of a version in a path
VERSION_HEADER = b"x-model-version"
Answer = tuple[bytes, int]  # JSON, and the version that answered or 0


class RestApi:
    """Answers requests; an instance is an ASGI application."""

    def __init__(
        self,
        manager: Manager,
        metrics: Metrics,
        limits: Limits,
        bodies: Bodies,
        offer: predict.Offer | None,
    ) -> None:
        """Takes the models, the count of bodies, and what is told of each answered request."""
        self._manager, self._metrics, self._limits = manager, metrics, limits
        self._offer, self._bodies = offer, bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        try:
            text, version = await self._answer(scope, receive)
        except ServingError as error:
            await send_error(send, error)
        except ClientGone:
            return
        except Exception:
            LOG.exception("a request failed")
            await send_error(send, ServingError(Code.INTERNAL, "see the server's log"))
        else:
            extra = [(VERSION_HEADER, str(version).encode())] if version else []
            await send_json(send, 200, text, extra)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").split("?")[0]
        if scope["method"] == "POST" and (match := POST.fullmatch(path)):
            return await self._post(scope, receive, match)
        if scope["method"] == "GET" and (match := GET.fullmatch(path)):
            return self._get(match)
        raise invalid(f"Malformed request: {scope['method']} {path}")

    async def _post(self, scope: Scope, receive: Receive, match: re.Match[str]) -> Answer:
        start = time.perf_counter()
        name, number, label = _target(match)
        method = match[4].lower()
        status_name = Code.INTERNAL.name
        try:
            async with self._bodies.read(scope, receive) as body:
                find = functools.partial(self._manager.find, name, number, label)
                if method != "predict":
                    return await classify.classify_or_regress(find, body, method), 0
                most = self._limits.instances
                answer = await predict.predict(name, find, body, most, self._offer)
                status_name = "OK"
                return answer
        except ServingError as error:
            status_name = error.code.name
            raise
        except (ClientGone, asyncio.CancelledError):
            status_name = Code.CANCELLED.name
            raise
        finally:
            if name in self._manager.models:  # names that clients make up would fill the memory
                self._metrics.requests.add(name, status_name)
                latency = self._metrics.latency.labels(name, method, "REST")
                latency.observe(predict.microseconds_since(start))

    def _get(self, match: re.Match[str]) -> Answer:
        if not match[1]:
            raise invalid("Missing model name in request.")
        name, number, label = _target(match)
        if match[4]:
            version = self._manager.find(name, number, label)
            return status.metadata_json(name, version), 0
        found = status.model_status(self._manager, name, number, label)
        return status.status_json(found), 0


def _target(match: re.Match[str]) -> tuple[str, int | None, str | None]:
    """Returns the model's name, and the version or label, of a path."""
    name, number, label = match[1], match[2], match[3]
    if number and (len(number) > MOST_DIGITS or int(number) > LARGEST_VERSION):
        raise invalid(f"Failed to convert version: {number[:MOST_DIGITS]} to numeric.")
    return (
        urllib.parse.unquote(name),
        int(number) if number else None,
        urllib.parse.unquote(label) if label else None,
    )


async def send_error(send: Send, error: ServingError) -> None:
    """Answers with TF Serving's form of an error."""
    extra = []
    if error.http_status in (408, 413):
        extra.append((b"connection", b"close"))  # the rest of the request is not read
    if error.http_status in (429, 503):
        extra.append((b"retry-after", b"1"))
    if error.http_status == 401:
        extra.append((b"www-authenticate", b"Bearer"))
    text = json.dumps({"error": error.message}).encode()
    await send_json(send, error.http_status, text, extra)


async def send_json(
    send: Send, status_code: int, text: bytes, extra: list[tuple[bytes, bytes]]
) -> None:
    """Sends one JSON answer."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status_code, "headers": headers})
    await send({"type": "http.response.body", "body": text})
