"""The interval of a proportion, and how it is written."""

import math

Z_95 = 1.959964  # the normal distribution's 97.5% point


def wilson(right: float, images: int) -> tuple[float, float]:
    """Returns the 95% interval of a share, from 0 to 1.

    Wilson's score interval (1927, https://doi.org/10.1080/01621459.1927.10502953): unlike the
    normal approximation it stays within 0 and 1, and is right near 1, where accuracies are.

    Args:
      right: how many of `images`.

    Raises:
      ValueError: there are no images, or more are right than there are.
    """
    if not 0 <= right <= images or not images:
        raise ValueError(f"expected 0 to {images} right of at least one image; got {right}")
    share, weight = right / images, Z_95**2 / images
    middle = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def share_with_interval(share: float, images: int | None) -> str:
    """Returns an accuracy with its interval, such as `99.21% (99.02% to 99.37%)`."""
    if not images:
        return f"{share:.2%}"
    low, high = wilson(min(share * images, images), images)
    return f"{share:.2%} ({low:.2%} to {high:.2%})"
