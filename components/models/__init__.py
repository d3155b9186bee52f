"""The registry of models: one line each, imported only when a model is built.

A model is a module with `INPUT_SHAPE`, `LEARNING_RATES` (the range to search),
`STEPS_PER_EXECUTION` and `build`, a function of its hyperparameters that returns a compiled model.
"""

REGISTRY = {
    "sequential": "components.models.sequential",
    "alexnet": "components.models.alexnet",
    "vgg16": "components.models.vgg16",
    "alexnet-book": "components.models.alexnet_book",
}
DEFAULT_MODELS = ("sequential", "alexnet", "vgg16")


def module_of(name: str) -> str:
    """Returns the dotted path of a registered model's module.

    Raises:
      KeyError: the name is not registered; the message lists those that are.
    """
    if name not in REGISTRY:
        raise KeyError(f"expected one of the models {', '.join(REGISTRY)}; got {name!r}")
    return REGISTRY[name]
