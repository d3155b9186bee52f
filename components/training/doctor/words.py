"""The doctor's sentences: each says what was seen, where, when, and from what to what."""

import math
from collections.abc import Sequence

from components.training.doctor.chart import Chart, Layer, Point, Sample, mean_of

FLOAT16_MOST = 65_504  # the largest finite float16


def number(value: float) -> str:
    """Returns a figure with three digits, as a person writes it."""
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else "not a number"
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _updates(sample: Sample) -> list[float]:
    return [layer.update for layer in sample.layers if layer.size]


def course(chart: Chart) -> str:
    """Returns what a healthy training looks like."""
    if not chart.losses:
        return "nothing was seen yet"
    newest = mean_of(chart.losses[-max(len(chart.losses) // 10, 1) :])
    loss = f"loss from {number(chart.losses[0].mean)} to {number(newest.mean)}"
    parts = [f"{loss} in {newest.end:,} steps"]
    if not chart.samples:
        return parts[0]
    last = chart.samples[-1]
    layers = [layer for layer in last.layers if layer.size]
    parts.append(f"{number(last.loss)} on the batch kept aside at step {last.step:,}")
    if layers:
        parts.append(f"gradient norms {_range([x.gradient for x in layers])}")
        # A schedule's rate begins low and ends at 0: the layers at their most.
        updates = [max(x) for x in zip(*(_updates(s) for s in chart.samples), strict=True)]
        parts.append(f"updates of up to {_range(updates)} of the weights")
    relus = [layer for layer in last.layers if layer.dead is not None]
    if relus:
        most = max(relus, key=lambda layer: layer.dead or 0.0)
        parts.append(f"at most {most.dead:.0%} dead ReLUs ({most.name})")
    parts.append(f"{last.share:.0%} of the answers are one class")
    return ", ".join(parts)


def explosion(chart: Chart, start: Point, peak: Point) -> str:
    """Returns when the loss went up, from what to what, and in which layer the gradient did."""
    earlier = [point.mean for point in chart.losses if point.end < start.end]
    looks = [sample.loss for sample in chart.samples if sample.step <= start.end - start.steps]
    before = earlier[-1] if earlier else looks[-1] if looks else math.nan
    came = f"went from {number(before)} to" if not math.isnan(before) else "was"
    said = f"{_when(chart, start)} the loss {came} {number(start.highest)}{_height(start, peak)}"
    grown = _grown(chart, start)
    return f"{said}; {grown}" if grown else said


def _height(start: Point, peak: Point) -> str:
    if start.highest == peak.highest or not math.isfinite(start.highest):
        return ""
    return f" and by step {peak.end:,} to {number(peak.highest)}"


def _when(chart: Chart, start: Point) -> str:
    after = [sample for sample in chart.samples if sample.step >= start.end]
    epoch = f" (epoch {after[0].epoch + 1})" if after else ""
    if start.steps == 1:
        return f"at step {start.end:,}{epoch}"
    return f"within steps {start.end - start.steps + 1:,} to {start.end:,}{epoch}"


def _grown(chart: Chart, start: Point) -> str:
    """Returns the layer whose gradient grew most, or the first whose output is not finite."""
    before = [sample for sample in chart.samples if sample.step <= start.end - start.steps]
    after = [sample for sample in chart.samples if sample.step >= start.end]
    if not after:
        return ""
    broken = next((layer for layer in after[0].layers if not math.isfinite(layer.spread)), None)
    if broken:
        half = f": float16 ends at {FLOAT16_MOST:,}" if after[0].half else ""
        return f"the output of {broken.name} is the first that is not finite{half}"
    if not before:
        most = max(after[0].layers, key=lambda layer: layer.gradient)
        return f"the gradient norm is largest in {most.name}, {number(most.gradient)}"
    pairs = [
        (old, max(row, key=lambda layer: _ordered(layer.gradient)))
        for old, *row in zip(before[-1].layers, *(sample.layers for sample in after), strict=True)
    ]
    old, new = max(pairs, key=lambda p: _ordered(p[1].gradient) / max(p[0].gradient, 1e-30))
    updates = max(layer.update for sample in after for layer in sample.layers)
    return (
        f"the gradient norm of {new.name} grew most, from {number(old.gradient)} at step "
        f"{before[-1].step:,} to {number(new.gradient)}; a step changed up to "
        f"{number(updates)} of a layer's weights"
    )


def _ordered(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def overflow(sample: Sample, name: str) -> str:
    """Returns where float16 ran out of numbers."""
    return (
        f"float16 overflow: the output of {name} is not finite at step {sample.step:,}, "
        f"as float16 ends at {FLOAT16_MOST:,}"
    )


def underscaled(sample: Sample) -> str:
    """Returns that gradients do not fit into float16, whatever the loss is multiplied by."""
    return (
        f"float16 overflow: gradients are not finite even with the loss multiplied by "
        f"{number(sample.scale)} at step {sample.step:,}, as float16 ends at {FLOAT16_MOST:,}"
    )


def dead(layers: Sequence[Layer], sample: Sample) -> str:
    """Returns which layers are silent, and whether that is for want of weights."""
    shares = {layer.name: layer.dead or 0.0 for layer in layers}
    whole = [name for name, share in shares.items() if share >= 1.0]
    if whole:
        said = f"all units of {_names(whole)} are 0 on every image at step {sample.step:,}"
    else:
        each = ", ".join(f"{share:.1%} of {name}" for name, share in shares.items())
        said = f"{each} are 0 on every image at step {sample.step:,}"
    zero = [layer.name for layer in sample.layers if layer.weight == 0.0]
    if zero:
        said += f"; all weights of {_names(zero)} are 0, so no gradient tells one from another"
    return said


def frozen(layers: Sequence[Layer]) -> str:
    """Returns which layers are not trained."""
    return f"{_names([x.name for x in layers])} is not trainable: its weights stay as they began"


def cut_off(layers: Sequence[Layer], sample: Sample) -> str:
    """Returns which layers no gradient reaches."""
    most = max(sample.layers, key=lambda layer: layer.gradient)
    return (
        f"no gradient reaches {_names([x.name for x in layers])} at step {sample.step:,}, "
        f"while {most.name} has a norm of {number(most.gradient)}"
    )


def faint(layers: Sequence[Layer], sample: Sample) -> str:
    """Returns in which layers the gradient is too small to move them."""
    least = min(layers, key=lambda layer: layer.gradient_rms)
    most = max(sample.layers, key=lambda layer: layer.gradient)
    return (
        f"the gradient of {_names([x.name for x in layers])} is too small for Adam at step "
        f"{sample.step:,}: a norm of {number(least.gradient)} in {least.name}, "
        f"{number(most.gradient)} in {most.name}"
    )


def one_class(top: int, share: float, loss: float, where: str) -> str:
    """Returns which class is answered for everything."""
    return (
        f"it answers {top} for {share:.0%} of {where}, with a loss of {loss:.3f} "
        f"(ln 10 is {math.log(10):.3f})"
    )


def level(loss: float, steps: int) -> str:
    """Returns at which loss nothing moves."""
    return (
        f"the mean loss over {steps:,} steps is {loss:.3f}, no better than that of a network that "
        f"knows nothing (ln 10 is {math.log(10):.3f})"
    )


def _names(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]} to {names[-1]} ({len(names)} layers)"
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}"
