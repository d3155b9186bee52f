"""The IDX reader and writer: what they give, and that every damaged file is refused by name."""

import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data.errors import MAX_ITEMS, DataError
from components.data.idx import read_images, read_labels, to_idx_bytes

Reader = Callable[[Path], NDArray[np.uint8]]

IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9], np.uint8)
BOTH = pytest.mark.parametrize(
    ("read", "array"), [(read_images, IMAGES), (read_labels, LABELS)], ids=["images", "labels"]
)
PACKED = pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])


def write(folder: Path, content: bytes, name: str = "some-file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(read: Reader, path: Path) -> str:
    """Returns the message of the DataError, which must name the file."""
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def peak_bytes(read: Reader, path: Path) -> int:
    """Returns how much memory was held at once while the file was refused."""
    tracemalloc.start()
    try:
        refusal(read, path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@PACKED
@BOTH
def test_an_idx_file_reads_back_what_was_written(
    tmp_path: Path, read: Reader, array: NDArray[np.uint8], pack: Callable[[bytes], bytes]
) -> None:
    found = read(write(tmp_path, pack(to_idx_bytes(array))))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_idx_bytes_are_the_published_layout() -> None:
    assert to_idx_bytes(LABELS) == bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])
    assert to_idx_bytes(IMAGES)[:16] == struct.pack(">4I", 2051, 3, 28, 28)
    assert to_idx_bytes(IMAGES)[16:] == IMAGES.tobytes()


@pytest.mark.parametrize(
    "array", [np.zeros(3, np.int64), np.zeros((3, 28), np.uint8), np.zeros((), np.uint8)]
)
def test_only_images_and_labels_of_bytes_become_idx(array: NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match=r"expected images uint8 .* found .* Convert the array"):
        to_idx_bytes(array)


def test_gzip_is_told_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    plain = write(tmp_path, to_idx_bytes(LABELS), "plain.gz")
    zipped = write(tmp_path, gzip.compress(to_idx_bytes(LABELS)), "zipped")
    np.testing.assert_array_equal(read_labels(plain), read_labels(zipped))


def test_a_text_file_called_gz_is_refused_for_its_magic(tmp_path: Path) -> None:
    message = refusal(read_labels, write(tmp_path, b"<html>", "labels.gz"))
    assert "expected an IDX label file (magic 2049), found magic 1013478509" in message
    assert "begins with b'<htm'" in message


def test_images_given_as_labels_look_swapped(tmp_path: Path) -> None:
    message = refusal(read_labels, write(tmp_path, to_idx_bytes(IMAGES)))
    assert "expected an IDX label file (magic 2049), found an IDX image file" in message
    assert "look swapped" in message


def test_labels_given_as_images_look_swapped(tmp_path: Path) -> None:
    message = refusal(read_images, write(tmp_path, to_idx_bytes(LABELS)))
    assert "expected an IDX image file (magic 2051), found an IDX label file" in message
    assert "look swapped" in message


@pytest.mark.parametrize("shape", [(2, 28, 27), (2, 32, 28), (784, 2, 1)])
def test_images_of_another_size_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    message = refusal(read_images, write(tmp_path, to_idx_bytes(np.zeros(shape, np.uint8))))
    assert f"expected images of 28x28, found {shape[1]}x{shape[2]}" in message


@BOTH
def test_a_file_of_no_items_is_refused(
    tmp_path: Path, read: Reader, array: NDArray[np.uint8]
) -> None:
    message = refusal(read, write(tmp_path, to_idx_bytes(array[:0])))
    assert "expected at least one item, the header promises 0" in message


@PACKED
@BOTH
def test_a_truncated_body_is_refused(
    tmp_path: Path, read: Reader, array: NDArray[np.uint8], pack: Callable[[bytes], bytes]
) -> None:
    message = refusal(read, write(tmp_path, pack(to_idx_bytes(array)[:-1])))
    assert f"after the header, found {array.size - 1:,}. The file is cut short" in message


@PACKED
@BOTH
@pytest.mark.parametrize("size", [1, 7])
def test_a_truncated_header_is_refused(
    tmp_path: Path,
    read: Reader,
    array: NDArray[np.uint8],
    pack: Callable[[bytes], bytes],
    size: int,
) -> None:
    message = refusal(read, write(tmp_path, pack(to_idx_bytes(array)[:size])))
    assert f"expected a header of {4 + 4 * array.ndim} bytes, found {size}" in message


def test_a_gzip_file_of_nothing_is_refused(tmp_path: Path) -> None:
    message = refusal(read_labels, write(tmp_path, gzip.compress(b"")))
    assert "expected a header of 8 bytes, found 0" in message


@PACKED
@BOTH
def test_trailing_bytes_are_refused(
    tmp_path: Path, read: Reader, array: NDArray[np.uint8], pack: Callable[[bytes], bytes]
) -> None:
    message = refusal(read, write(tmp_path, pack(to_idx_bytes(array) + b"\0")))
    assert f"expected {array.size:,} bytes after the header, found more" in message
    assert "trailing bytes" in message


def test_a_second_gzip_member_counts_as_trailing_bytes(tmp_path: Path) -> None:
    content = gzip.compress(to_idx_bytes(LABELS)) + gzip.compress(b"\1")
    assert "trailing bytes" in refusal(read_labels, write(tmp_path, content))


def test_a_file_in_two_gzip_members_is_whole(tmp_path: Path) -> None:
    content = to_idx_bytes(LABELS)
    path = write(tmp_path, gzip.compress(content[:9]) + gzip.compress(content[9:]))
    np.testing.assert_array_equal(read_labels(path), LABELS)


@pytest.mark.parametrize("at", [-8, -1], ids=["crc", "length"])
def test_a_wrong_gzip_checksum_is_refused(tmp_path: Path, at: int) -> None:
    content = bytearray(gzip.compress(to_idx_bytes(LABELS)))
    content[at] ^= 1
    message = refusal(read_labels, write(tmp_path, bytes(content)))
    assert "expected a whole file, found a damaged or unreadable one" in message


@pytest.mark.parametrize("kept", [2, 10, -8, -1])
def test_a_truncated_gzip_stream_is_refused(tmp_path: Path, kept: int) -> None:
    content = gzip.compress(to_idx_bytes(LABELS))[:kept]
    message = refusal(read_labels, write(tmp_path, content))
    assert "end-of-stream marker was reached" in message


def test_a_damaged_deflate_stream_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(to_idx_bytes(LABELS))[:10] + b"\xff" * 20
    message = refusal(read_labels, write(tmp_path, content))
    assert "Error -3 while decompressing data" in message


def test_a_gzip_stream_with_garbage_behind_it_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(to_idx_bytes(LABELS)) + b"garbage"
    assert "Not a gzipped file" in refusal(read_labels, write(tmp_path, content))


@BOTH
def test_an_empty_file_is_refused(tmp_path: Path, read: Reader, array: object) -> None:
    assert "found an empty file (0 bytes)" in refusal(read, write(tmp_path, b""))


@BOTH
def test_a_missing_file_is_refused(tmp_path: Path, read: Reader, array: object) -> None:
    message = refusal(read, tmp_path / "nothing-here")
    assert "expected a file, found none" in message
    assert "Check the path" in message


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert "expected a file, found none (embedded null byte)" in refusal(
        read_labels, tmp_path / "nul\0"
    )


@BOTH
def test_a_directory_is_refused(tmp_path: Path, read: Reader, array: object) -> None:
    assert "expected a file, found a directory" in refusal(read, tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "found a device or a pipe" in refusal(read_labels, tmp_path / "pipe")


def test_the_first_wrong_label_is_named_with_its_index(tmp_path: Path) -> None:
    labels = np.array([1, 9, 10, 255], np.uint8)
    message = refusal(read_labels, write(tmp_path, to_idx_bytes(labels)))
    assert "expected labels 0 to 9, found 10 at index 2 (2 wrong in all)" in message


@pytest.mark.parametrize("count", [MAX_ITEMS + 1, 2**32 - 1])
def test_an_absurd_count_is_refused(tmp_path: Path, count: int) -> None:
    images = struct.pack(">4I", 2051, count, 28, 28)
    labels = struct.pack(">2I", 2049, count)
    for read, content in ((read_images, images), (read_labels, labels)):
        message = refusal(read, write(tmp_path, content))
        assert f"expected at most 1,000,000 items, the header promises {count:,}" in message


@PACKED
def test_nothing_is_allocated_on_the_word_of_a_header(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path, pack(struct.pack(">4I", 2051, MAX_ITEMS, 28, 28) + b"\0" * 100))
    assert "expected 784,000,000 bytes after the header, found 100" in refusal(read_images, path)
    assert peak_bytes(read_images, path) < 4_000_000


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_promises(tmp_path: Path) -> None:
    content = struct.pack(">4I", 2051, 10, 28, 28) + b"\0" * 50_000_000
    path = write(tmp_path, gzip.compress(content))
    assert "trailing bytes" in refusal(read_images, path)
    assert peak_bytes(read_images, path) < 4_000_000
