"""Writes a larger set of digits as MNIST's four plain IDX files: its own, turned, moved, resized.

Usage:

    python benchmarks/make_digits.py FOLDER --images 7000000 [--seed 0]

Six sevenths are for training and are made of MNIST's training digits, the rest of its test digits.
The memory does not depend on the number of images: they are made and written in blocks. A block has
a random generator of its own, so that a number of images and a seed always give the same files.
"""

import argparse
import pathlib
import struct
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from components import data

SIDE = 28
PIXELS = SIDE * SIDE
BLOCK = 1_000  # images that are changed in the same way
TURN, SHEAR, ZOOM, MOVE = 0.25, 0.15, 0.12, 2.0  # radians, share, share, pixels: at most
DARKEST = 0.7  # of a digit's own brightness
MOST = 2**32 - 1  # an IDX header counts in four bytes


def main() -> None:
    """Writes the folder that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not 2 * 7 <= options.images <= MOST:
        parser.error(f"expected --images of 14 to {MOST:,}; got {options.images}")
    begun = time.perf_counter()
    make_digits(options.folder, options.images, options.seed)
    seconds = time.perf_counter() - begun
    print(f"{options.images:,} images in {seconds:.1f} s: {options.folder}")


def make_digits(folder: pathlib.Path, images: int, seed: int) -> None:
    """Writes the files that are not there yet; each is there whole or not at all."""
    raw = data.load("")
    folder.mkdir(parents=True, exist_ok=True)
    train = images * 6 // 7
    _write(folder, "train", raw.train_images, raw.train_labels, train, seed)
    _write(folder, "t10k", raw.test_images, raw.test_labels, images - train, seed + 1)


def _write(
    folder: pathlib.Path,
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    count: int,
    seed: int,
) -> None:
    files = [folder / f"{name}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    if all(file.exists() for file in files):
        return
    halves = [file.with_name(f"{file.name}.half") for file in files]
    with halves[0].open("wb") as to_images, halves[1].open("wb") as to_labels:
        to_images.write(struct.pack(">4I", 2051, count, SIDE, SIDE))
        to_labels.write(struct.pack(">2I", 2049, count))
        for made, of in blocks(images, labels, count, seed):
            to_images.write(made.tobytes())
            to_labels.write(of.tobytes())
    for half, file in zip(halves, files, strict=True):
        half.rename(file)


def blocks(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yields changed images, uint8 [n, 28, 28], and their labels, uint8 [n], `count` in all."""
    for number, first in enumerate(range(0, count, BLOCK)):
        random = np.random.default_rng((seed, number))
        chosen = random.integers(0, len(labels), min(BLOCK, count - first))
        yield changed(images[chosen], random), labels[chosen]


def changed(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Returns images, uint8 [n, 28, 28], moved in one random way, each of another brightness."""
    flat = images.reshape(-1, PIXELS).astype(np.float32)
    moved = (mapping(random) @ flat.T).T
    brightness = random.uniform(DARKEST, 1, (len(flat), 1)).astype(np.float32)
    return np.rint(moved * brightness).astype(np.uint8).reshape(-1, SIDE, SIDE)


def mapping(random: np.random.Generator) -> sparse.csr_matrix:
    """Returns a random affine change of a picture, float32 [784, 784]: bilinear, zero outside."""
    turn, shear = random.uniform(-TURN, TURN), random.uniform(-SHEAR, SHEAR)
    zoom = 1 + random.uniform(-ZOOM, ZOOM)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = rotation @ np.array([[1, shear], [0, 1]]) / zoom
    middle = (SIDE - 1) / 2
    targets = np.indices((SIDE, SIDE)).reshape(2, -1)
    move = random.uniform(-MOVE, MOVE, (2, 1))
    rows, columns = matrix @ (targets - middle - move) + middle
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    parts = []
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - (rows - top)) * np.abs(1 - right - (columns - left))
            row, column = top + down, left + right
            inside = (row >= 0) & (row < SIDE) & (column >= 0) & (column < SIDE)
            place = np.flatnonzero(inside), (row * SIDE + column)[inside]
            parts.append(sparse.coo_matrix((weight[inside], place), (PIXELS, PIXELS)))
    return sparse.csr_matrix(sum(parts[1:], parts[0]), dtype=np.float32)


if __name__ == "__main__":
    main()
