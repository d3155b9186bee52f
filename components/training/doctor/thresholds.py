"""The numbers by which the doctor judges, each with its reason; nothing is computed here."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What counts as sick, and what the doctor may cost. Losses are in nats, times in steps.

    Attributes:
      most_share: of the training's time that may go into looking; 0.05 is the promise, and what
        one look costs beyond the last one must fit into the rest.
      images: at most so many in the batch that is kept aside; enough to tell a dead unit from a
        picky one, and a small part of a training step.
      chance: the loss of a network that knows nothing of ten classes, ln 10.
      exploded_loss: ten times chance. A healthy start stays below it but for a few steps; one that
        does not come back from it within `recovery_steps` is exploding.
      hopeless_loss: no training that was seen to recover had been there; the study's VGG16 reached
        2e10. At once exploding.
      recovery_steps: a healthy training at ten times its best rate was back within 50.
      recovered: share of chance below which a loss shows that something is known (again).
      window_steps: a mean over so many steps tells a level of loss from the noise of batches.
      stuck: share of chance which a mean loss must fall below to show that anything was learned;
        the mean over 600 batches is known to less than one hundredth.
      stuck_steps: the study's VGG16 had a mean loss of 1.84 over its first 600 steps and then 96.5%
        on validation: it sat near ln 10 for most of them, and was not sick.
      fewest_steps: below this it is too early to say that a network knows nothing.
      learned: share of chance below which a network knew something that it can lose.
      collapsed_share: of the answers that are one class. A balanced batch has 0.1, one digit more
        often than any other is healthy early on; so it counts only beside a loss at chance.
      dead_share: of a layer's units. Trained networks work well with most of them silent, so the
        share alone means something only where no unit is left, or nothing is learned either.
      underflow: root mean square of a gradient, a tenth of Adam's epsilon (1e-7): below it Adam no
        longer scales a small gradient up, and the layer stands still.
      confirmations: samples in a row that must show the same before a layer is called sick.
      may_freeze: names of layers that are not to be trained on purpose.
    """

    most_share: float = 0.03
    images: int = 32
    chance: float = math.log(10)
    exploded_loss: float = 10 * math.log(10)
    hopeless_loss: float = 1e4
    recovery_steps: int = 100
    recovered: float = 0.9
    window_steps: int = 20
    stuck: float = 0.97
    stuck_steps: int = 600
    fewest_steps: int = 100
    learned: float = 0.5
    collapsed_share: float = 0.95
    dead_share: float = 0.95
    underflow: float = 1e-8
    confirmations: int = 2
    may_freeze: tuple[str, ...] = ()


THRESHOLDS = Thresholds()
