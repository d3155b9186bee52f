"""Load on a server: over HTTP by wrk, as fast as it goes or paced; over gRPC by grpc.aio."""

import asyncio
import dataclasses
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PACED_CONNECTIONS = 64
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = {body}
local mean_ms = {mean_ms}
if mean_ms > 0 then
  math.randomseed(1)
  -- Exponential gaps, as those between independent clients are; wrk asks for whole milliseconds.
  function delay() return math.floor(-mean_ms * math.log(1 - math.random()) + 0.5) end
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {{"rate": %f, "p50": %f, "p99": %f, "refused": %d, "broken": %d}}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One measurement: requests a second, milliseconds, and requests that were not answered 2xx."""

    rate: float
    p50: float
    p99: float
    refused: int = 0
    broken: int = 0

    @property
    def text(self) -> str:
        """The cells of a table: rate, p50, p99; or what makes them invalid."""
        if self.refused or self.broken:
            return f"INVALID: {self.refused} not 2xx, {self.broken} broken or late | - | -"
        return f"{self.rate:,.0f} | {self.p50:.2f} | {self.p99:.2f}"


def median(cells: list[Cell]) -> Cell:
    """Returns the median of each number over the rounds; the sum of the failures."""
    return Cell(
        statistics.median(cell.rate for cell in cells),
        statistics.median(cell.p50 for cell in cells),
        statistics.median(cell.p99 for cell in cells),
        sum(cell.refused for cell in cells),
        sum(cell.broken for cell in cells),
    )


def require_wrk() -> str:
    """Returns where wrk is, or ends the program."""
    found = shutil.which("wrk")
    if not found:
        sys.exit("expected the load generator wrk on the PATH; install it (Debian: package wrk)")
    return found


def closed(url: str, body: str, clients: int, seconds: float) -> Cell:
    """Returns what `clients` get that each ask again as soon as they are answered."""
    return _wrk(url, body, clients, seconds, mean_ms=0.0)


def paced(url: str, body: str, rate: float, p50_ms: float, seconds: float) -> Cell:
    """Returns what clients get that together ask about `rate` times a second.

    Args:
      url: asked by POST.
      body: JSON.
      rate: requests a second; `Cell.rate` says what it came to.
      p50_ms: what an answer takes at that rate, about; the pauses are shorter by it.
      seconds: how long.
    """
    mean = max(PACED_CONNECTIONS / rate * 1_000 - p50_ms, 1.0)
    return _wrk(url, body, PACED_CONNECTIONS, seconds, mean)


def _wrk(url: str, body: str, clients: int, seconds: float, mean_ms: float) -> Cell:
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "load.lua")
        script.write_text(SCRIPT.format(body=json.dumps(body), mean_ms=mean_ms))
        how = ["-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
        command = [require_wrk(), *how, "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return Cell(**json.loads(result.removeprefix("RESULT ")))


def grpc_closed(address: str, request: bytes, calls: int, seconds: float) -> Cell:
    """Returns what `calls` concurrent Predict calls get, from a client in Python: grpc.aio."""
    return asyncio.run(_grpc(address, request, calls, seconds))


async def _grpc(address: str, request: bytes, calls: int, seconds: float) -> Cell:
    import grpc

    times: list[float] = []
    failed = 0
    async with grpc.aio.insecure_channel(address) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        end = time.perf_counter() + seconds

        async def ask() -> None:
            nonlocal failed
            while (begun := time.perf_counter()) < end:
                try:
                    await predict(request)
                    times.append(time.perf_counter() - begun)
                except grpc.aio.AioRpcError:
                    failed += 1

        await asyncio.gather(*(ask() for _ in range(calls)))
    hundredths = statistics.quantiles(times, n=100) if len(times) > 1 else [float("nan")] * 99
    return Cell(len(times) / seconds, hundredths[49] * 1e3, hundredths[98] * 1e3, failed)
