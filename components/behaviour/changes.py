"""The changes: what is done to a digit, and what a good model of digits should then answer.

Plain NumPy and SciPy on uint8 images [n, 28, 28], white on black; all are repeatable.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import ndimage

Images = np.ndarray
Kind = Literal["same digit", "unsure"]
WHITE = 255
NOISE_SEED = 7


@dataclasses.dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
      expected: in words, for the report.
      kind: `same digit`, judged by how much accuracy is lost against the unchanged digits; or
        `unsure`, judged by the median of the largest probability.
      bound: the most accuracy that may be lost, or the most that the median may be.
    """

    name: str
    expected: str
    kind: Kind
    bound: float
    apply: Callable[[Images], Images]


def _shifted(rows: int, columns: int) -> Callable[[Images], Images]:
    return lambda images: ndimage.shift(images, (0, rows, columns), order=0)


def _rotated(degrees: float) -> Callable[[Images], Images]:
    return lambda images: ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1)


def _scaled(factor: float) -> Callable[[Images], Images]:
    def scale(images: Images) -> Images:
        wide = images.astype(np.float32) * factor
        return np.rint(np.clip(wide, 0, WHITE)).astype(np.uint8)

    return scale


def _noisy(spread: float) -> Callable[[Images], Images]:
    def add(images: Images) -> Images:
        noise = np.random.default_rng(NOISE_SEED).normal(0, spread, images.shape)
        return np.rint(np.clip(images + noise, 0, WHITE)).astype(np.uint8)

    return add


def _filled(value: int) -> Callable[[Images], Images]:
    return lambda images: np.full_like(images[:1], value)


# Bounds: a pixel or a few degrees are within what MNIST itself has, centred by mass; a strong
# change may cost some of what is hard anyway. A page without a digit has no right answer: no model
# here was trained to say so, and the report shows how sure it is.
CHANGES = (
    Change("one pixel up", "the same digit", "same digit", 0.01, _shifted(-1, 0)),
    Change("one pixel down", "the same digit", "same digit", 0.01, _shifted(1, 0)),
    Change("one pixel left", "the same digit", "same digit", 0.01, _shifted(0, -1)),
    Change("one pixel right", "the same digit", "same digit", 0.01, _shifted(0, 1)),
    Change("turned by 5 degrees", "the same digit", "same digit", 0.01, _rotated(5)),
    Change("turned by -5 degrees", "the same digit", "same digit", 0.01, _rotated(-5)),
    Change("turned by 15 degrees", "mostly the same digit", "same digit", 0.05, _rotated(15)),
    Change("half as bright", "the same digit", "same digit", 0.02, _scaled(0.5)),
    Change("twice as bright", "the same digit", "same digit", 0.01, _scaled(2)),
    Change("slight noise", "the same digit", "same digit", 0.02, _noisy(25)),
    Change("strong noise", "mostly the same digit", "same digit", 0.1, _noisy(64)),
    Change("inverted", "the same digit", "same digit", 0.1, lambda images: WHITE - images),
    Change("blank", "no digit: unsure of all", "unsure", 0.5, _filled(0)),
    Change("all white", "no digit: unsure of all", "unsure", 0.5, _filled(WHITE)),
)
