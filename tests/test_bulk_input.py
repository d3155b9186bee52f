"""What an input of `bulk` is taken for, how it is cut, and how files are read; no TensorFlow."""

import errno
import gzip
import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from components.bulk import frames, idx, inputs, reading, tfrecord
from components.bulk.faults import BulkFailed, WrongInput, words_of
from components.bulk.pieces import IDX, PNG, TFRECORD, Bad, Chunk, Piece
from components.bulk.streams import Streams, opened
from components.data import DataError, to_idx_bytes

IMAGES = np.arange(10 * 784, dtype=np.uint8).reshape(10, 28, 28)


def framed(*records: bytes) -> bytes:
    """Returns a TFRecord file, from its description rather than from the code under test."""

    def masked(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    lengths = [struct.pack("<Q", len(record)) for record in records]
    pairs = zip(lengths, records, strict=True)
    return b"".join(n + masked(n) + record + masked(record) for n, record in pairs)


def put(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


CONTENTS = {
    "images": (to_idx_bytes(IMAGES), IDX),
    "images.gz": (gzip.compress(to_idx_bytes(IMAGES)), IDX),
    "labels.gz": (gzip.compress(to_idx_bytes(IMAGES[0, 0])), inputs.LABELS),
    "records": (framed(b"x"), TFRECORD),
    "records.gz": (gzip.compress(framed(b"x")), TFRECORD),
    "no_ending": (b"\x89PNG\r\n\x1a\n", PNG),
    "damaged.PNG": (b"", PNG),
    "notes.txt": (b"some words, no digits", inputs.UNKNOWN),
    "empty": (b"", TFRECORD),  # Beam writes such shards
    "empty.gz": (gzip.compress(b""), TFRECORD),
    "torn.gz": (gzip.compress(framed(b"x"))[:12], inputs.UNKNOWN),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_is_what_it_begins_with(tmp_path: Path, name: str) -> None:
    content, kind = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    assert inputs.kind_of(tmp_path / name) == kind


def test_what_cannot_be_read_is_an_error_and_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, a=to_idx_bytes(IMAGES))
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "closed":  # as of another user; root may read all
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="closed"):
        inputs.look_at(tmp_path)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path / "in", a=to_idx_bytes(IMAGES))
    (tmp_path / "in" / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WrongInput, match="expected no links to folders in .*/in/more is one: name"):
        inputs.look_at(tmp_path / "in")


def test_a_name_that_no_row_could_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    for given in (tmp_path, tmp_path / os.fsdecode(b"caf\xe9.png")):
        with pytest.raises(WrongInput, match=r"expected names in UTF-8 in .*; got caf\\xe9.png"):
            inputs.look_at(given)


def test_an_empty_shard_among_others_is_no_fault(tmp_path: Path) -> None:
    put(tmp_path, a=framed(b"x"), b=b"", c=framed(b"y"))
    given = inputs.look_at(tmp_path)
    assert given == (tmp_path, TFRECORD, ("a", "b", "c"))
    assert sum(piece.records for piece in inputs.pieces(given, 10)) == 2
    (tmp_path / "a").unlink(), (tmp_path / "c").unlink()
    with pytest.raises(WrongInput, match="expected records in"):
        inputs.pieces(inputs.look_at(tmp_path), 10)


def test_a_folder_is_read_by_name_without_labels_and_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    put(tmp_path / "b", a=to_idx_bytes(IMAGES))
    put(tmp_path, z=to_idx_bytes(IMAGES), a=to_idx_bytes(IMAGES), labels=to_idx_bytes(IMAGES[0, 0]))
    put(tmp_path / ".hidden", x=b"what a tool left")
    put(tmp_path, **{".hidden_too": b"and another"})
    assert inputs.look_at(tmp_path) == (tmp_path, IDX, ("a", "b/a", "z"))


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    words = (
        "expected a file, or a folder, of PNGs, IDX files of images or TFRecords of tf.Examples; "
        f"{tmp_path}/no is not there"
    )
    with pytest.raises(WrongInput, match=words):
        inputs.look_at(tmp_path / "no")


def test_an_input_without_images_is_refused(tmp_path: Path) -> None:
    put(tmp_path, labels=to_idx_bytes(IMAGES[0, 0]))
    with pytest.raises(WrongInput, match=f"in {tmp_path}; there are none: name another input"):
        inputs.look_at(tmp_path)


def test_a_mixed_folder_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    put(tmp_path, **{"a.png": b"", "b.png": b"", "c": to_idx_bytes(IMAGES)})
    words = f"expected files of one kind in {tmp_path}; found 2 of PNG and 1 of IDX: put them into"
    with pytest.raises(WrongInput, match=words):
        inputs.look_at(tmp_path)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    put(tmp_path, **{"a.png": b"", "notes.txt": b"some words, no digits"})
    with pytest.raises(WrongInput, match="; notes.txt is none of these: move it elsewhere"):
        inputs.look_at(tmp_path)


def test_files_without_records_are_refused(tmp_path: Path) -> None:
    given = inputs.look_at(put(tmp_path, none=to_idx_bytes(IMAGES[:0])))
    with pytest.raises(WrongInput, match="its files hold none: name another one"):
        inputs.pieces(given, 4)


def test_the_digest_is_that_of_names_and_contents(tmp_path: Path) -> None:
    def digest() -> str:
        return inputs.digest(inputs.look_at(tmp_path))

    put(tmp_path, **{"a.png": b"1", "b.png": b"2"})
    first = digest()
    put(tmp_path, **{"a.png": b"1"})
    assert digest() == first
    put(tmp_path, **{"a.png": b"2", "b.png": b"1"})
    assert digest() != first
    put(tmp_path, **{"a.png": b"1", "b.png": b"2"})
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    assert digest() != first


def everything(given: inputs.Input, size: int, batch: int) -> tuple[list[Piece], list[Chunk]]:
    """Reads all pieces, with what a worker keeps between them."""
    pieces, streams = inputs.pieces(given, size), Streams()
    read = [list(reading.chunks(given.root, piece, batch, streams, None)) for piece in pieces]
    return pieces, list(itertools.chain.from_iterable(read))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_cut_and_read_in_order(tmp_path: Path, pack: type[bytes]) -> None:
    put(tmp_path, a=pack(to_idx_bytes(IMAGES[:7])), b=pack(to_idx_bytes(IMAGES[7:])))
    pieces, chunks = everything(inputs.look_at(tmp_path), 4, 3)
    assert [(piece.number, piece.files, piece.first, piece.records) for piece in pieces] == [
        (0, ("a",), 0, 4),
        (1, ("a",), 4, 3),
        (2, ("b",), 0, 3),
    ]
    np.testing.assert_array_equal(np.concatenate([chunk.images for chunk in chunks]), IMAGES)
    assert [chunk.positions.tolist() for chunk in chunks] == [[0, 1, 2], [3], [0, 1, 2], [0, 1, 2]]
    assert pieces[1].place(2) == ("a", 6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (to_idx_bytes(IMAGES)[:-1], "expected a whole IDX file of 28x28 images; it has 7,839 byte"),
        (to_idx_bytes(IMAGES) + b"x", "it has 7,841 bytes of pixels: fetch it again"),
        (to_idx_bytes(IMAGES)[:9], "its header is cut short"),
        (to_idx_bytes(IMAGES[:, :27]), "expected images of 28x28, found 27x28"),
        (gzip.compress(to_idx_bytes(IMAGES))[:-9], "Compressed file ended before"),
    ],
    ids=["a byte short", "a byte long", "header", "27 rows", "gzip cut short"],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    given = inputs.look_at(put(tmp_path, file=content))
    with pytest.raises(DataError, match=words):
        inputs.pieces(given, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_records_are_cut_where_they_begin(tmp_path: Path, pack: type[bytes]) -> None:
    records = [b"", b"one", b"two" * 99, b"three", b"4"]
    path = put(tmp_path, file=pack(framed(*records))) / "file"
    found = []
    for cut in tfrecord.cuts(path, "file", 2):
        with Streams().at(path, cut.offset) as stream:
            found.append([f.data for f in itertools.islice(frames.frames(stream), cut.records)])
    assert found == [records[:2], records[2:4], records[4:]]


def test_what_follows_a_tear_is_one_bad_record(tmp_path: Path) -> None:
    path = put(tmp_path, file=framed(b"one", b"two", b"three")[:-3]) / "file"
    assert [cut.records for cut in tfrecord.cuts(path, "file", 9)] == [3]
    with opened(path) as stream:
        *whole, last = frames.frames(stream)
    assert [frame.data for frame in whole] == [b"one", b"two"]
    assert last.torn
    assert last.fault == (
        "expected a whole file; from this record on it cannot be read: the file ends within the "
        "record"
    )


def test_a_length_that_was_changed_ends_the_file(tmp_path: Path) -> None:
    content = bytearray(framed(b"one", b"two"))
    content[19] ^= 1
    with opened(put(tmp_path, file=bytes(content)) / "file") as stream:
        faults = [frame.fault for frame in frames.frames(stream)]
    assert faults[0] == ""
    assert faults[1].endswith("the length of the record is damaged")


def test_a_file_that_shrank_after_it_was_cut_is_no_end(tmp_path: Path) -> None:
    given = inputs.look_at(put(tmp_path, file=to_idx_bytes(IMAGES)))
    (piece,) = inputs.pieces(given, 10)
    put(tmp_path, file=to_idx_bytes(IMAGES[:5]))
    with pytest.raises(BulkFailed, match="changed while it was read: start again into a new"):
        list(idx.chunks(tmp_path, piece, 4, Streams()))


def test_a_gzip_file_is_unpacked_once_for_pieces_in_order(tmp_path: Path) -> None:
    path = put(tmp_path, file=gzip.compress(bytes(range(100)))) / "file"
    streams, seen = Streams(), set()
    for offset in (0, 10, 50):
        with streams.at(path, offset) as stream:
            assert stream.read(2) == bytes([offset, offset + 1])
            seen.add(id(stream))
    assert len(seen) == 1
    with streams.at(path, 3) as stream, streams.at(path, 60) as other:
        assert (stream.read(1), other.read(1)) == (b"\3", b"\x3c")


def test_reading_goes_on_ahead_and_ends_when_nobody_wants_more() -> None:
    made = []

    def source() -> Iterator[Chunk]:
        for number in range(100):
            made.append(number)
            yield Chunk(IMAGES[:1], np.array([number]))

    chunks = reading.ahead(source())
    assert next(chunks).positions == [0]
    chunks.close()
    assert len(made) < 2 * reading.AHEAD + 4
    assert [int(c.positions[0]) for c in reading.ahead(source())] == list(range(100))


def test_what_goes_wrong_ahead_is_raised_in_its_place() -> None:
    def source() -> Iterator[Chunk]:
        yield Chunk.of(0, ["no digit"])
        raise BulkFailed("it broke")

    chunks = reading.ahead(source())
    assert next(chunks).bad == (Bad(0, "no digit"),)
    with pytest.raises(BulkFailed, match="it broke"):
        next(chunks)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BulkFailed("no room: make some"), "no room: make some"),
        (BulkFailed("no room: make some [while running 'Write']"), "no room: make some"),
        (
            RuntimeError(
                "Traceback ...\ncomponents.bulk.faults.BulkFailed: no room: make some\n\n"
                "During handling ...\ncomponents.bulk.faults.BulkFailed: no room: make some "
                "[while running 'Write-ptransform-9']\nmore"
            ),
            "no room: make some",
        ),
        (RuntimeError("something else"), None),
    ],
)
def test_a_failures_words_get_through_beam(error: Exception, words: str | None) -> None:
    assert words_of(error) == words
