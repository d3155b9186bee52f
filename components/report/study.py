"""The numbers of the notebook study that this project began with, as it printed them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """A run of the small network: ten epochs of Adam, the last epoch's figures."""

    name: str
    batch_size: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    eval_loss: float
    eval_accuracy: float


@dataclasses.dataclass(frozen=True)
class StudyEpoch:
    """An epoch of a training; VGG16's had batches of 100."""

    epoch: int
    train_loss: float
    train_accuracy: float
    eval_loss: float
    eval_accuracy: float


SEQUENTIAL = (
    StudyRun("A", 32, 0.001, 0.0075, 0.9977, 0.0497, 0.9902),
    StudyRun("B", 64, 0.001, 0.0064, 0.9981, 0.0307, 0.9923),
    StudyRun("C", 64, 0.01, 0.0616, 0.9845, 0.0553, 0.9872),
)
SEQUENTIAL_IMAGES = 12_000  # that the study validated on
VGG16 = (
    StudyEpoch(1, 1.8400, 0.5679, 0.1082, 0.9654),
    StudyEpoch(2, 0.1255, 0.9633, 0.0888, 0.9746),
    StudyEpoch(3, 0.0870, 0.9753, 0.1271, 0.9636),
    StudyEpoch(4, 0.0817, 0.9783, 0.1091, 0.9724),
    StudyEpoch(5, 0.1070, 0.9735, 0.0840, 0.9800),
    StudyEpoch(6, 20_100_694_016, 0.4631, 2.3010, 0.1135),
    StudyEpoch(7, 32_190_714, 0.1123, 2.3010, 0.1135),
)


def _epochs(*figures: tuple[float, float, float, float]) -> tuple[StudyEpoch, ...]:
    return tuple(StudyEpoch(number, *epoch) for number, epoch in enumerate(figures, start=1))


CURVES = {
    "A": _epochs(
        (0.1227, 0.961, 0.053, 0.9837),
        (0.0409, 0.987, 0.0417, 0.9887),
        (0.0282, 0.9909, 0.0385, 0.9891),
        (0.0215, 0.9936, 0.0443, 0.9869),
        (0.0172, 0.9944, 0.0494, 0.9865),
        (0.0142, 0.9955, 0.0454, 0.9886),
        (0.0117, 0.9963, 0.0486, 0.9899),
        (0.0101, 0.9971, 0.0438, 0.9922),
        (0.01, 0.9967, 0.0438, 0.9912),
        (0.0075, 0.9977, 0.0497, 0.9902),
    ),
    "B": _epochs(
        (0.058, 0.9818, 0.0417, 0.9868),
        (0.0321, 0.9895, 0.033, 0.9899),
        (0.0245, 0.9923, 0.0332, 0.9902),
        (0.0172, 0.9944, 0.0301, 0.9914),
        (0.0162, 0.9947, 0.0287, 0.9909),
        (0.0133, 0.9955, 0.0404, 0.9898),
        (0.0115, 0.9959, 0.0379, 0.9899),
        (0.0082, 0.9974, 0.0393, 0.9912),
        (0.0082, 0.9976, 0.033, 0.9918),
        (0.0064, 0.9981, 0.0307, 0.9923),
    ),
    "C": _epochs(
        (0.0851, 0.9753, 0.1, 0.9709),
        (0.0827, 0.9773, 0.066, 0.98),
        (0.0778, 0.9785, 0.0781, 0.9781),
        (0.0763, 0.979, 0.0669, 0.9805),
        (0.0604, 0.9837, 0.0678, 0.9859),
        (0.0659, 0.982, 0.0783, 0.9817),
        (0.0754, 0.9821, 0.0657, 0.983),
        (0.069, 0.983, 0.0695, 0.9844),
        (0.0789, 0.9811, 0.0776, 0.984),
        (0.0616, 0.9845, 0.0553, 0.9872),
    ),
}
VGG16_WORDS = (
    "In its sixth epoch the study's VGG16 went from a loss of 0.1 to 2e10: its numbers exploded. "
    "After that it answered one digit for everything: 0.1135 is the share of ones in the test set, "
    "1,135 of 10,000, and 2.301 is the entropy of the label distribution."
)
