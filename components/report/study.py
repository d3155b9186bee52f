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
    """An epoch of VGG16, batch 100."""

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
VGG16_WORDS = (
    "In its sixth epoch the study's VGG16 went from a loss of 0.1 to 2e10: its numbers exploded. "
    "After that it answered one digit for everything: 0.1135 is the share of ones in the test set, "
    "1,135 of 10,000, and 2.301 is the entropy of the label distribution."
)
