"""Runs the embedded server: models, HTTP and gRPC on one event loop, until it is told to stop."""

import asyncio
import gc
import json
import logging
import os
import pathlib
import signal
import socket
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import uvicorn

from serving.errors import PortTaken
from serving.grpc_service import make_server
from serving.guarded_protocol import guarded
from serving.manager import Manager
from serving.metrics import Metrics
from serving.options import Options
from serving.request_log import RequestLog
from serving.rest.app import make_app
from serving.rest.body import Bodies

LOG = logging.getLogger(__name__)
BACKLOG = 2_048


async def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT, then lets the requests under way end.

    Raises:
      PortTaken: a port is in use.
      ConfigError: the model configuration is wrong.
    """
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)  # of a server that was killed
    gc.freeze()  # else each collection walks TensorFlow's modules, up to 2 s for a large body
    metrics = Metrics()
    manager = Manager(options, metrics)
    log = RequestLog(options.log_folder, options.log_sample_rate) if options.log_folder else None
    offer = log.offer if log else None
    listener = _bound(options.host, options.port)
    bodies = Bodies(options.limits)
    rpc = make_server(options, manager, metrics, bodies, offer)
    grpc_port = _bind(rpc, options.host, options.grpc_port)
    http = _HttpServer(_config(options, make_app(options, manager, metrics, bodies, offer)), rpc)
    loading = asyncio.create_task(manager.refresh())
    try:
        with _stopped_by_signals(http, loading):
            await asyncio.wait([loading])
            if http.should_exit:
                return
            loading.result()
            listener.listen(BACKLOG)  # not before: who connects is answered
            await rpc.start()
            announced = _announce(http, manager, options, listener, grpc_port)
            await _beside((manager.watch(), announced), http.serve(sockets=[listener]))
    finally:
        await rpc.stop(None)  # where a signal came before the HTTP server had begun
        if log:
            log.close()  # first: a version that is being loaded may take longer than there is time
        await manager.close()


async def _beside(others: Iterable[Coroutine[Any, Any, None]], main: Awaitable[None]) -> None:
    """Runs `main`, and beside it others, until it ends."""
    tasks = [asyncio.create_task(other) for other in others]
    try:
        await main
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _HttpServer(uvicorn.Server):
    """uvicorn's server; it ends the gRPC server too, and leaves the exit code to the program."""

    def __init__(self, config: uvicorn.Config, rpc: grpc.aio.Server) -> None:
        super().__init__(config)
        self._rpc = rpc

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `serve`, which has them before this server begins."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuses what is new on both ports and waits for what is under way."""
        grace = self.config.timeout_graceful_shutdown
        await asyncio.gather(super().shutdown(sockets), self._rpc.stop(grace))


@contextmanager
def _stopped_by_signals(http: uvicorn.Server, loading: asyncio.Task[None]) -> Iterator[None]:
    """Ends the server, or the loading of the first versions, at SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        LOG.info("%s: the server ends", number.name)
        loading.cancel()
        http.handle_exit(number, None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _config(options: Options, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=guarded(options.limits),
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(options.limits.idle_seconds),
        timeout_graceful_shutdown=int(options.limits.drain_seconds),
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(_taken(host, port, "--port", str(error))) from error
    listener.setblocking(False)
    return listener


def _bind(rpc: grpc.aio.Server, host: str, port: int) -> int:
    address = f"[{host}]" if ":" in host else host
    try:
        return rpc.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise PortTaken(_taken(host, port, "--grpc-port", str(error))) from error


def _taken(host: str, port: int, option: str, why: str) -> str:
    return f"expected to listen on {host}:{port}; it cannot be had ({why}): give another {option}"


async def _announce(
    http: uvicorn.Server,
    manager: Manager,
    options: Options,
    listener: socket.socket,
    grpc_port: int,
) -> None:
    """Says where the server listens once it answers."""
    while not http.started:
        await asyncio.sleep(0.01)
    port = listener.getsockname()[1]
    for name, servable in manager.models.items():
        if not servable.serves:
            LOG.warning("%s: no version serves yet of %s", name, servable.config.base_path)
    LOG.info("REST on http://%s:%d, gRPC on port %d", options.host, port, grpc_port)
    if options.ready_file:
        ready = {"rest_port": port, "grpc_port": grpc_port, "pid": os.getpid()}
        _write(options.ready_file, json.dumps(ready))


def _write(file: pathlib.Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, file)
