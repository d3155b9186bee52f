"""Which Beam runner runs where the user names none, and with what; Beam is not imported."""

IN_MEMORY = (
    # What DirectRunner falls back to. That tries Prism first, a program that it downloads.
    "--runner=FnApiRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Never used by this runner. Without an image or a package of its own, TFX packs itself into a
    # source distribution for the workers at the start of every Beam node: seconds each.
    "--sdk_container_image=none",
)
DIRECT = "--runner=DirectRunner"


def beam_arguments(given: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the Beam arguments: the in-memory runner, then what the user gave."""
    others = tuple(argument for argument in given if argument != DIRECT)
    return others if any(a.startswith("--runner") for a in others) else (*IN_MEMORY, *others)
