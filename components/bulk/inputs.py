"""What an input is: its kind, its files in order, its digest and its pieces; no digit is read."""

import collections
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from components.bulk import idx, png, tfrecord
from components.bulk.faults import WrongInput
from components.bulk.frames import HEAD, is_head
from components.bulk.pieces import IDX, PNG, TFRECORD, Piece, numbered
from components.bulk.streams import opened

LABELS = "IDX labels"  # beside images; nothing is predicted for them
UNKNOWN = "unknown"
PNG_MAGIC = b"\x89PNG"
EXPECTED = "PNGs, IDX files of images or TFRecords of tf.Examples"


class Input(NamedTuple):
    """The files of one kind, relative to `root`, sorted."""

    root: Path
    kind: str
    files: tuple[str, ...]

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Returns sizes and times: others say that a file changed."""
        found = ((name, (self.root / name).stat()) for name in self.files)
        return {name: (status.st_size, status.st_mtime_ns) for name, status in found}


def look_at(path: Path) -> Input:
    """Returns what a file, or a folder and those below it, holds; hidden files are left out.

    Raises:
      WrongInput: nothing, different kinds, or something else.
    """
    if path.is_dir():
        root, names = path, sorted(_names(path))
    elif path.is_file():
        root, names = path.parent, [_in_utf8(path.name, path.parent)]
    else:
        raise WrongInput(f"expected a file, or a folder, of {EXPECTED}; {path} is not there")
    kinds = {name: kind_of(root / name) for name in names}
    images = {name: kind for name, kind in kinds.items() if kind != LABELS}
    _check(path, images)
    return Input(root, next(iter(images.values())), tuple(images))


def _names(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if linked := [name for name in folders if (Path(parent) / name).is_symlink()]:
            raise WrongInput(
                f"expected no links to folders in {folder}; {Path(parent) / linked[0]} is one: "
                "name what it leads to as an input of its own"
            )
        for name in files:
            if not name.startswith("."):
                yield _in_utf8((Path(parent) / name).relative_to(folder).as_posix(), folder)


def _raise(error: OSError) -> NoReturn:
    """Lets a folder that cannot be read be an error: its digits would be missing, unsaid."""
    raise error


def _in_utf8(name: str, folder: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode(errors="backslashreplace")
        raise WrongInput(
            f"expected names in UTF-8 in {folder}; got {shown}: rename it, since each row of the "
            "output names its file"
        ) from None
    return name


def kind_of(path: Path) -> str:
    """Returns what a file holds: by its name for PNG, so that a damaged one counts as bad.

    Raises:
      OSError: it cannot be read.
    """
    if path.suffix.lower() == ".png":
        return PNG
    try:
        with opened(path) as stream:
            head = stream.read(HEAD.size)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return UNKNOWN
    if is_head(head) or not head:  # an empty file is a TFRecord file without records
        return TFRECORD
    kinds = {idx.IMAGES_MAGIC: IDX, idx.LABELS_MAGIC: LABELS, PNG_MAGIC: PNG}
    return kinds.get(head[:4], UNKNOWN)


def _check(path: Path, images: dict[str, str]) -> None:
    if not images:
        raise WrongInput(f"expected {EXPECTED} in {path}; there are none: name another input")
    for name, kind in images.items():
        if kind == UNKNOWN:
            raise WrongInput(
                f"expected {EXPECTED} alone in {path}; {name} is none of these: move it elsewhere"
            )
    counts = collections.Counter(images.values())
    if len(counts) > 1:
        found = " and ".join(f"{count:,} of {kind}" for kind, count in counts.most_common())
        raise WrongInput(
            f"expected files of one kind in {path}; found {found}: put them into folders of their "
            "own and name one at a time"
        )


def digest(given: Input) -> str:
    """Returns a SHA-256 over the files' names and contents."""
    total = hashlib.sha256()
    for name in given.files:
        with (given.root / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        total.update(f"{name}\n".encode() + content)
    return total.hexdigest()


def pieces(given: Input, size: int) -> list[Piece]:
    """Cuts an input into pieces of at most `size` records, always in the same way.

    Raises:
      WrongInput: there is no record.
      DataError: an IDX file is damaged.
    """
    if given.kind == PNG:
        cuts = list(png.cuts(given.files, size))
    else:
        cut = idx.cuts if given.kind == IDX else tfrecord.cuts
        cuts = [made for name in given.files for made in cut(given.root / name, name, size)]
    if not cuts:
        raise WrongInput(f"expected records in {given.root}; its files hold none: name another one")
    return list(numbered(given.kind, cuts))
