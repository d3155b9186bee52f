"""The whole HTTP application: the API, the metrics, the page, and who may ask."""

import hmac
import pathlib
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import Code, ServingError
from serving.manager import Manager
from serving.metrics import Metrics
from serving.options import Options
from serving.rest.api import RestApi, send_error
from serving.rest.body import Bodies, header
from serving.rest.predict import Offer

PAGE = pathlib.Path(__file__).parents[1] / "page"
GUARDED = ("/v1", "/monitoring")
METRICS_PATH = "/monitoring/prometheus/metrics"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """The page's files, asked for anew each time, so that none is older than the others."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Adds the page's headers to a file's answer."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(PAGE_HEADERS)
        return response


class BearerToken:
    """Lets in requests below the guarded paths only with the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Takes the application behind it and the token."""
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses with 401, or goes on."""
        guarded = scope["type"] == "http" and scope["path"].lower().startswith(GUARDED)
        given = header(scope, b"authorization") if guarded else b""
        if guarded and not hmac.compare_digest(given, self._expected):
            words = "expected the header 'Authorization: Bearer <token>' with this server's token"
            await send_error(send, ServingError(Code.UNAUTHENTICATED, words))
            return
        await self._app(scope, receive, send)


class Site:
    """Hands /v1, in any letters as in TF Serving, to the API, and all else to the pages.

    The API stands before Starlette's routes, which would cost a predict request more than reading
    its JSON does.
    """

    def __init__(self, api: RestApi, pages: ASGIApp) -> None:
        """Takes both."""
        self._api, self._pages = api, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        of_api = scope["path"].lower().startswith("/v1/")
        await (self._api if of_api else self._pages)(scope, receive, send)


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 404 in TF Serving's form."""
    await send_error(send, ServingError(Code.NOT_FOUND, f"nothing is at {scope['path']}"))


def make_app(
    options: Options, manager: Manager, metrics: Metrics, bodies: Bodies, offer: Offer | None
) -> ASGIApp:
    """Returns the ASGI application of a server."""

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain")

    async def show_page(_: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)

    async def show_models(_: Request) -> Response:
        return JSONResponse({"models": sorted(manager.models)})

    pages = Starlette(
        routes=[
            Route(METRICS_PATH, show_metrics),
            Route("/", show_page),
            Route("/page/models.json", show_models),
            Mount("/page", PageFiles(directory=PAGE)),
        ]
    )
    pages.router.default, pages.router.redirect_slashes = nothing_here, False
    app: ASGIApp = Site(RestApi(manager, metrics, options.limits, bodies, offer), pages)
    if options.token:
        app = BearerToken(app, options.token)
    if options.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["X-Model-Version"],
        )
    return app
