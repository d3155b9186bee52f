"""Requests that are wrong, huge or malicious: refused at once, and nobody else is hurt."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

MIB = 1 << 20
SECONDS = 2.0  # within which each fault is answered, on a busy machine too
IMAGE = [[0] * 28] * 28
DEEP = 100_000
PREDICT = "/v1/models/mnist:predict"


@pytest.fixture(scope="module")
def server(running_server: Any, served_digits: Path) -> Iterator[Any]:
    options = ("--model-name", "mnist", "--model-base-path", served_digits)
    with running_server(*options) as process:
        yield process


@pytest.fixture(autouse=True)
def unharmed(server: Any, answers_right: Callable[[Any], None]) -> Iterator[None]:
    """After each fault the server answers right and its memory is what it was."""
    answers_right(server)
    before = server.peak_memory()
    yield
    answers_right(server)
    assert server.peak_memory() - before < 160 * MIB


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.elapsed.total_seconds() < SECONDS
    body = response.json()
    assert list(body) == ["error"]
    return response.status_code, body["error"]


def post(server: Any, body: str | bytes, path: str = PREDICT, **headers: str) -> tuple[int, str]:
    return refusal(server.client.post(path, content=body, headers=headers))


def row(value: object) -> str:
    return json.dumps({"instances": [value]})


def deep(opening: str, closing: str) -> str:
    return '{"instances": ' + opening * DEEP + "0" + closing * DEEP + "}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "The document is empty"),
        ("{", "JSON Parse error"),
        (b"\xff\xfe{\x00", "JSON Parse error"),
        (b"\x00" * 100, "JSON Parse error"),
        ('{"instances": ["\ud800"]}'.encode(errors="surrogatepass"), "JSON Parse error"),
        ('{"instances": [1e400]}', "JSON Parse error"),
        ('{"instances": [-1e400, NaN]}', ""),
        (deep("[", "]"), ""),
        (deep('{"a":', "}"), ""),
        ('{"instances": ' + "[" * DEEP, "JSON Parse error"),
        ('{"instances": [NaN, ' + "[" * DEEP, "JSON Parse error"),
        ('{"instances": ["' + "a" * 4 * MIB + '"' + ', "b"' * 200 + "]}", "element: 0"),
        ('{"instances": [1, "' + "a" * 4 * MIB + '"]}', "element: 1"),
        ('{"a": NaN, "instances": ' + "[" * DEEP + "]" * DEEP + "}", ""),
    ],
)
def test_a_body_that_is_no_json_of_reason_is_refused(
    server: Any, body: str | bytes, words: str
) -> None:
    code, found = post(server, body)
    assert code == 400
    assert words in found
    assert len(found) < 2_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (row([[0] * 27] * 28), "[-1, 28, 28]"),
        (row([[0] * 28] * 29), "[-1, 28, 28]"),
        (row([[[0]] * 28] * 28), "[-1, 28, 28]"),
        (row([0] * 784), "[-1, 28, 28]"),
        (row(0), "[-1, 28, 28]"),
        (row([]), "[-1, 28, 28]"),
        (row([[]] * 28), "[-1, 28, 28]"),
        (row([*IMAGE[1:], [0] * 27]), "unexpected size: 27"),
        (row([*IMAGE[1:], 0]), "incorrect level"),
        (json.dumps({"inputs": IMAGE}), "[-1, 28, 28]"),
        (row([*IMAGE[1:], [0] * 27 + ["x"]]), "Type: String is not of expected type: uint8"),
        (row([*IMAGE[1:], [0] * 27 + [None]]), "Type: Null is not of expected type: uint8"),
        (row([*IMAGE[1:], [0] * 27 + [True]]), "Type: True is not of expected type: uint8"),
        (row([*IMAGE[1:], [0] * 27 + [0.5]]), "Type: Number is not of expected type: uint8"),
        (row([*IMAGE[1:], [0] * 27 + [1.0]]), "Type: Number is not of expected type: uint8"),
        (row([*IMAGE[1:], [0] * 27 + [256]]), "256"),
        (row([*IMAGE[1:], [0] * 27 + [-1]]), "-1"),
        (row([*IMAGE[1:], [0] * 27 + [10**30]]), "uint8"),
        (row([*IMAGE[1:], [0] * 27 + [float("nan")]]), "uint8"),
        (row([*IMAGE[1:], [0] * 27 + [float("inf")]]), "uint8"),
        (row([*IMAGE[1:], [0] * 27 + [-float("inf")]]), "uint8"),
    ],
)
def test_an_image_of_another_shape_type_or_range_is_refused(
    server: Any, body: str, words: str
) -> None:
    code, found = post(server, body)
    assert code == 400
    assert words in found
    assert len(found) < 2_000


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": []}',
        '{"inputs": []}',
        '{"inputs": {"image": []}}',
        '{"signature_name": "examples", "inputs": []}',
    ],
)
def test_a_batch_of_none_is_refused(server: Any, body: str) -> None:
    assert post(server, body)[0] == 400


@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize("value", ["0", '""', "[]"])
def test_a_batch_of_a_million_is_refused(server: Any, key: str, value: str) -> None:
    values = ",".join([value] * 1_000_000)
    code, words = post(server, f'{{"signature_name": "examples", "{key}": [{values}]}}')
    assert code in (400, 413)
    assert len(words) < 2_000


def test_the_refusal_of_a_large_batch_says_how_many_may_be_sent(server: Any) -> None:
    assert "1024" in post(server, json.dumps({"instances": [0] * 1_025}))[1]


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        ("nope:predict", row(IMAGE), 404, "Servable not found for request: Latest(nope)"),
        ("mnist/versions/9:predict", row(IMAGE), 404, "Servable not found"),
        ("mnist/labels/nope:predict", row(IMAGE), 400, "Unrecognized servable version label"),
        ("mnist:predict", '{"signature_name": "nope", "instances": [0]}', 400, '"nope" not found'),
        (f"mnist/versions/{'9' * 4_000}:predict", row(IMAGE), 400, "version"),
        (f"{'m' * 10_000}:predict", row(IMAGE), 404, "Servable not found"),
        ("%00%ff%0a:predict", row(IMAGE), 404, "Servable not found"),
        ("..%2f..%2fetc:predict", row(IMAGE), 404, "Servable not found"),
    ],
)
def test_what_is_not_served_is_named(
    server: Any, path: str, body: str, code: int, words: str
) -> None:
    found_code, found = post(server, body, f"/v1/models/{path}")
    assert found_code == code
    assert words in found


def test_the_body_of_a_get_is_not_looked_at(server: Any) -> None:
    response = server.client.request("GET", "/v1/models/mnist", content=b"{" * 1_000)
    assert response.status_code == 200
    assert response.json()["model_version_status"][0]["state"] == "AVAILABLE"


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width: int, height: int, pixels: bytes, *more: bytes, depth: int = 8) -> bytes:
    """Returns a grey PNG whose header may promise what its pixels do not hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + data + chunk(b"IEND", b"")


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, kind)
    return file.getvalue()


ROWS = bytes(29 * 28)
GOOD_PNG = png(28, 28, ROWS)
TEXT_BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9))
PROFILE_BOMB = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9))


def images(*contents: bytes) -> str:
    values = [{"b64": base64.b64encode(content).decode()} for content in contents]
    return json.dumps({"signature_name": "png", "instances": values})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="the first bytes alone"),
        pytest.param(picture("GIF"), id="GIF"),
        pytest.param(picture("JPEG"), id="JPEG"),
        pytest.param(picture("BMP"), id="BMP"),
        pytest.param(GOOD_PNG[:60], id="truncated"),
        pytest.param(GOOD_PNG.replace(b"IDAT", b"IDAX"), id="no pixels"),
        pytest.param(GOOD_PNG[:-20] + bytes(20), id="damaged"),
        pytest.param(png(27, 28, ROWS), id="27x28"),
        pytest.param(png(60_000, 60_000, ROWS), id="3.6 billion pixels promised"),
        pytest.param(png(2**31 - 1, 2**31 - 1, ROWS), id="2**62 pixels promised"),
        pytest.param(png(20_000, 20_000, bytes(20_000 * 1_000)), id="20,000x20,000"),
        pytest.param(png(0, 0, b""), id="no size"),
    ],
)
def test_a_picture_that_is_no_png_of_28x28_is_refused(server: Any, content: bytes) -> None:
    code, words = post(server, images(content))
    assert code == 400
    assert words
    assert len(words) < 2_000


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png(28, 28, bytes(64 * MIB)), id="64 MiB of pixels in 28x28"),
        pytest.param(png(28, 28, ROWS, TEXT_BOMB), id="64 MiB of text"),
        pytest.param(png(28, 28, ROWS, PROFILE_BOMB), id="64 MiB of colour profile"),
        pytest.param(png(28, 28, ROWS, *[TEXT_BOMB] * 20), id="1.3 GB of text"),
    ],
)
def test_a_png_that_unpacks_to_far_more_is_answered_or_refused(server: Any, content: bytes) -> None:
    """Memory is what counts, which `unharmed` looks at: the decoder leaves such chunks packed."""
    response = server.client.post(PREDICT, content=images(content))
    assert response.elapsed.total_seconds() < SECONDS
    assert response.status_code in (200, 400)


def test_one_bad_picture_refuses_its_own_request(server: Any) -> None:
    assert post(server, images(GOOD_PNG, picture("GIF")))[0] == 400


@pytest.mark.parametrize(
    "value", ['{"b64": "%"}', '{"b64": 1}', '{"b64": "A"}', '{"hex": "00"}', "1"]
)
def test_base64_that_is_none_is_refused(server: Any, value: str) -> None:
    body = f'{{"signature_name": "png", "inputs": {{"image_bytes": [{value}]}}}}'
    assert post(server, body)[0] == 400


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 100, b"not an example"])
def test_an_example_that_is_none_is_refused(server: Any, content: bytes) -> None:
    value = {"b64": base64.b64encode(content).decode()}
    body = json.dumps({"signature_name": "examples", "instances": [value]})
    assert post(server, body)[0] == 400


def test_a_body_that_is_not_the_gzip_it_claims_is_refused(server: Any) -> None:
    code, words = post(server, row(IMAGE), **{"content-encoding": "gzip"})
    assert code == 400
    assert "gzip" in words


def test_a_gzip_body_that_ends_too_early_is_refused(server: Any) -> None:
    half = zlib.compress(row(IMAGE).encode(), wbits=31)[:-12]
    assert post(server, half, **{"content-encoding": "gzip"})[0] == 400


@pytest.mark.parametrize("tail", [False, True])
def test_a_gzip_bomb_is_refused_and_never_unpacked(server: Any, tail: bool) -> None:
    """A gigabyte of zeros in a megabyte: after a full flush the same bytes may be repeated."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(MIB)
    first = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    start = zlib.compress(row(IMAGE).encode(), wbits=31) if tail else b""
    body = start + first + again * 1_023
    code, _ = post(server, body, **{"content-encoding": "gzip"})
    assert code in (400, 413) if tail else code == 413
