"""The numbers by which the doctor judges, each with its reason; nothing is computed here."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What counts as sick, and what the doctor may cost. Losses are in nats, times in steps.

    Attributes:
      promised_share: of the training's time that the doctor takes at most; see `Doctor` for the
        looks that may go beyond.
      most_share: of that time which may go into looks during the training; a last one, and one
        that costs more than the one before, must fit into the rest.
      first_look: seconds that a first look is taken to cost where a step takes less. On two cores
        that were busy otherwise it took 0.4 s for `sequential`, 0.7 s for `alexnet` and 0.8 s for
        `vgg16` of 32x32, whose steps took 0.5, 0.9 and 1.5 s, and less for smaller networks.
      images: at most so many in the batch that is kept aside; enough to tell a dead unit from a
        picky one, and a small part of a training step.
      large: weights from which a network gets a batch of `images_of_large`.
      images_of_large: a look at `vgg16` of 32x32 took 0.6 s of a processor with 32 images, and
        0.35 s with 8.
      chance: the loss of a network that knows nothing of ten classes, ln 10.
      exploded_loss: ten times chance. A healthy start stays below it but for a few steps; one that
        does not come back from it within `recovery_steps` is exploding.
      hopeless_loss: at once exploding. A choice, far above ten times chance and far below the 2e10
        that the study's VGG16 reached; which losses a training comes back from was not measured.
      recovery_steps: how long a loss may take to come back. A choice, not measured: long enough
        for a few bad batches at a start, short enough to stop a training that is lost early.
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

    promised_share: float = 0.05
    most_share: float = 0.03
    first_look: float = 0.3
    images: int = 32
    large: int = 10_000_000
    images_of_large: int = 8
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
