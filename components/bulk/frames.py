"""The frames of TFRecord files: lengths, checksums and what a torn file is; not what they hold."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import google_crc32c

from components.bulk.streams import DAMAGE

# https://www.tensorflow.org/tutorials/load_data/tfrecord: length, its checksum, data, its checksum.
HEAD = struct.Struct("<QI")
FOOT = struct.Struct("<I")
LARGEST = 64 * 2**20  # bytes of one record; a longer one is taken for damage


class Frame(NamedTuple):
    """A record's bytes, or why it has none; after `torn` nothing can be read."""

    data: bytes
    fault: str = ""
    torn: bool = False


def masked_crc(data: bytes) -> int:
    """Returns the checksum that TFRecords have of `data`."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_head(head: bytes) -> bool:
    """Tells whether a file that begins like this is of TFRecords."""
    return len(head) == HEAD.size and masked_crc(head[:8]) == HEAD.unpack(head)[1]


def frames(stream: BinaryIO, check: bool = True) -> Iterator[Frame]:
    """Yields the records from the stream's place to its end, or to where it is torn.

    Args:
      check: whether the checksums of the data are looked at too.
    """
    while (frame := _next(stream, check)) is not None:
        yield frame
        if frame.torn:
            return


def _next(stream: BinaryIO, check: bool) -> Frame | None:
    try:
        head = stream.read(HEAD.size)
        if not head:
            return None
        if not is_head(head) or HEAD.unpack(head)[0] > LARGEST:
            return _torn("the length of the record is damaged")
        length = HEAD.unpack(head)[0]
        body = stream.read(length + FOOT.size)
    except DAMAGE as error:
        return _torn(str(error))
    if len(body) < length + FOOT.size:
        return _torn("the file ends within the record")
    data = body[:length]
    if check and masked_crc(data) != FOOT.unpack(body[length:])[0]:
        return Frame(b"", "expected a whole record; its checksum is wrong")
    return Frame(data)


def _torn(why: str) -> Frame:
    return Frame(b"", f"expected a whole file; from this record on it cannot be read: {why}", True)
