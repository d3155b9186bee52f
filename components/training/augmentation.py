"""Digits a little turned, moved, sized, sheared and bent, anew in each epoch of a training.

Random numbers come from a seed of each batch alone, so a training that goes on after a kill sees
the images that it would have seen.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from components.features import SIDE

NONE = "none"
_BEND = (0, 1 << 30)  # keeps the seeds of the bending apart from the others
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Strength:
    """How far digits are changed; each value is drawn evenly between its negative and itself.

    Attributes:
      degrees: of turning.
      pixels: of moving, in each direction.
      zoom: share by which the size changes, in each direction.
      shear: pixels of sideways slant a pixel of height.
      bend: pixels by which the points of a coarse grid are displaced, in each direction.
      grid: points a side of that grid; the displacements between them are smooth.
    """

    degrees: float
    pixels: float
    zoom: float
    shear: float
    bend: float = 0.0
    grid: int = 5


STRENGTHS = {
    "affine": Strength(degrees=12.0, pixels=2.0, zoom=0.1, shear=0.1),
    "wide": Strength(degrees=15.0, pixels=2.5, zoom=0.15, shear=0.2),
    # Bending after Simard, Steinkraus and Platt 2003, doi:10.1109/ICDAR.2003.1227801
    "elastic": Strength(degrees=12.0, pixels=2.0, zoom=0.12, shear=0.15, bend=1.5),
}


def augmentation(name: str) -> Augment | None:
    """Returns a function of images, uint8 [n, 28, 28], and a seed, int32 [2]; None for `none`.

    It returns images of the same shape and type. What lies outside of an image is black.

    Raises:
      ValueError: the name is not `none`, `affine`, `wide` or `elastic`.
    """
    if name == NONE:
        return None
    if name not in STRENGTHS:
        names = ", ".join((NONE, *STRENGTHS))
        raise ValueError(f"expected an augmentation of {names}; got {name!r}")
    strength = STRENGTHS[name]
    return lambda images, seed: _sample(images, *_places(tf.shape(images)[0], seed, strength))


def _places(count: tf.Tensor, seed: tf.Tensor, strength: Strength) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the row and the column, float32 [n, 28, 28], at which each pixel is read."""
    numbers = tf.random.stateless_uniform((6, count, 1, 1), seed, -1.0, 1.0)
    turn, down, right, high, wide, slant = tf.unstack(numbers)
    angle = turn * math.radians(strength.degrees)
    middle = (SIDE - 1) / 2
    axis = tf.range(SIDE, dtype=tf.float32) - middle
    y, x = axis[None, :, None], axis[None, None, :]
    x = x + slant * strength.shear * y
    rows = (tf.cos(angle) * y - tf.sin(angle) * x) * (1 + high * strength.zoom)
    columns = (tf.sin(angle) * y + tf.cos(angle) * x) * (1 + wide * strength.zoom)
    rows += middle + down * strength.pixels
    columns += middle + right * strength.pixels
    if strength.bend:
        shape = (count, strength.grid, strength.grid, 2)
        coarse = tf.random.stateless_uniform(shape, _BEND + seed, -1.0, 1.0)
        bent = tf.image.resize(coarse * strength.bend, (SIDE, SIDE), "bicubic")
        rows, columns = rows + bent[..., 0], columns + bent[..., 1]
    return rows, columns


def _sample(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Reads images at fractional places by bilinear interpolation."""
    framed = tf.pad(tf.cast(images, tf.float32), ((0, 0), (1, 1), (1, 1)))
    side = SIDE + 2
    pixels = tf.reshape(framed, (-1, side * side))
    # The frame is black, so any place outside may be read there.
    rows = tf.clip_by_value(rows + 1, 0.0, side - 1.001)
    columns = tf.clip_by_value(columns + 1, 0.0, side - 1.001)
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = rows - top, columns - left
    first = tf.cast(top, tf.int32) * side + tf.cast(left, tf.int32)

    def at(offset: int) -> tf.Tensor:
        return tf.gather(pixels, first + offset, batch_dims=1)

    upper = at(0) * (1 - right) + at(1) * right
    lower = at(side) * (1 - right) + at(side + 1) * right
    return tf.cast(tf.round(upper * (1 - down) + lower * down), tf.uint8)
