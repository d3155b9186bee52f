"""Every number that a run depends on, by profile; nothing here imports TensorFlow."""

import dataclasses

ALL = 0  # images: as many as there are


@dataclasses.dataclass(frozen=True)
class Rung:
    """One step of the ladder of sizes that a time budget is fitted to.

    Attributes:
      images: of `train`, in each of `epochs`.
      eval_images: of `eval`, predicted after each epoch.
      trials: of the search, each on `trial_images` for `trial_epochs`.
      batch_sizes: those to search on this rung, or none to take the model's: few images need small
        batches, for the sake of steps.
    """

    name: str
    images: int
    epochs: int
    eval_images: int
    trials: int
    trial_images: int
    trial_epochs: int = 1
    trial_eval_images: int = 500
    batch_sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelProfile:
    """How one model is tuned and trained.

    Attributes:
      runs: name, batch size and learning rate of each trial, in place of a search; or none.
      input_side: height and width of the input, or 0 for the network's own.
      batch_sizes: those to search.
      learning_rates: lowest and highest to search, or None for the model's own range.
      rungs: from the largest to the smallest; with a budget the first that fits is taken, without
        one the first.
      share: of the time for training that this model may take, relative to the others.
      augmentation, averaging, weight_decay: of a training, see
        `components.settings.ModelSettings`.
    """

    rungs: tuple[Rung, ...]
    batch_sizes: tuple[int, ...] = (32, 64, 128, 256)
    learning_rates: tuple[float, float] | None = None
    input_side: int = 0
    runs: tuple[tuple[str, int, float], ...] = ()
    share: float = 1.0
    augmentation: str = "none"
    averaging: float = 0.0
    weight_decay: float = 0.0

    @property
    def smallest_batch(self) -> int:
        """Of those to search, on any rung: the one that trains slowest."""
        return min(size for rung in self.rungs for size in rung.batch_sizes or self.batch_sizes)


@dataclasses.dataclass(frozen=True)
class Profile:
    """A variant of the run.

    Attributes:
      images: how many of each split are ingested, from its start; 0 means all.
      models: by name; `other` is for models of the registry that are not named.
      accuracy_floor: the least accuracy on `test` that is blessed.
      patience: epochs without improvement after which a training stops.
      budget: minutes that the whole run may take, with AMX or a GPU and without; None: no limit.
    """

    name: str
    images: dict[str, int]
    models: dict[str, ModelProfile]
    other: ModelProfile
    accuracy_floor: float
    schedule: str = "one_cycle"
    patience: int = 3
    precision: str = "auto"
    seed: int = 20_221_201
    budget: tuple[float, float] | None = None

    def of(self, model: str) -> ModelProfile:
        """Returns how a model is trained under this profile."""
        return self.models.get(model, self.other)


def _ladder(*sizes: tuple[int, int, int, int, int]) -> tuple[Rung, ...]:
    """Returns rungs from (images, epochs, eval images, trials, images of a trial)."""
    return tuple(Rung(str(len(sizes) - i), *size) for i, size in enumerate(sizes))


_FULL = {"train": ALL, "eval": ALL, "test": ALL}

SMOKE = Profile(
    name="smoke",
    images={"train": 512, "eval": 128, "test": 200},
    models={
        "sequential": ModelProfile(_ladder((512, 2, 128, 2, 128)), batch_sizes=(32, 64)),
        "alexnet": ModelProfile(_ladder((64, 1, 32, 1, 32)), batch_sizes=(32,)),
        "vgg16": ModelProfile(_ladder((64, 1, 32, 1, 32)), batch_sizes=(32,), input_side=32),
    },
    other=ModelProfile(_ladder((64, 1, 32, 1, 32)), batch_sizes=(32,)),
    accuracy_floor=0.3,
    precision="float32",
)

_DEEP_LADDER = (
    Rung("8", ALL, 2, ALL, 4, 3_000),
    Rung("7", 24_000, 1, 12_000, 3, 2_000),
    Rung("6", 12_000, 1, 4_000, 2, 1_500),
    Rung("5", 9_000, 1, 2_000, 2, 750, batch_sizes=(32,)),
    Rung("4", 7_500, 1, 2_000, 2, 750, batch_sizes=(32,)),
    Rung("3", 6_000, 1, 2_000, 2, 750, batch_sizes=(32,)),
    Rung("2", 4_000, 1, 1_000, 2, 320, batch_sizes=(32,)),
    Rung("1", 2_000, 1, 1_000, 1, 256, batch_sizes=(32,)),
)

LAPTOP = Profile(
    name="laptop",
    images=_FULL,
    models={
        "sequential": ModelProfile(
            _ladder(
                (ALL, 4, ALL, 4, 8_000),
                (ALL, 3, ALL, 4, 6_000),
                (ALL, 2, ALL, 3, 4_000),
                (ALL, 1, ALL, 2, 2_000),
            ),
            batch_sizes=(64, 128, 256),
        ),
        "alexnet": ModelProfile(_DEEP_LADDER, batch_sizes=(32, 64)),
        "vgg16": ModelProfile(_DEEP_LADDER, batch_sizes=(32, 64), input_side=32),
    },
    other=ModelProfile(_ladder((12_000, 1, 2_000, 2, 1_000), (2_500, 1, 1_000, 1, 300))),
    accuracy_floor=0.95,
    budget=(8.0, 12.0),
)

_TEN_EPOCHS = ModelProfile(_ladder((ALL, 10, ALL, 4, 6_000)))

PAPER = Profile(
    name="paper",
    images=_FULL,
    models={
        "sequential": ModelProfile(
            (Rung("1", ALL, 10, ALL, 3, ALL, 10, ALL),),
            batch_sizes=(32, 64),
            learning_rates=(0.001, 0.01),
            runs=(("A", 32, 0.001), ("B", 64, 0.001), ("C", 64, 0.01)),
        ),
    },
    other=_TEN_EPOCHS,
    accuracy_floor=0.95,
    schedule="constant",
    patience=10,
)

# Selected on eval by benchmarks/recipe.py.
_RECIPE = ModelProfile(
    (Rung("1", ALL, 20, ALL, 8, 12_000, 2, ALL),),
    augmentation="affine",
    averaging=0.1,
    weight_decay=0.1,
)

GPU = Profile(
    name="gpu",
    images=_FULL,
    models={"sequential": _RECIPE},
    other=ModelProfile((Rung("1", ALL, 10, ALL, 8, 12_000, 2, ALL),)),
    accuracy_floor=0.97,
    patience=20,  # a cycle's last epochs are its best
)

PROFILES = {profile.name: profile for profile in (SMOKE, LAPTOP, PAPER, GPU)}
