"""Where the marks of a chart go, in the units of its SVG; the templates draw what is found here."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH, HEIGHT = 360, 220  # of the drawing; at most what a phone shows, so its text stays readable
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 36
BAR_RIGHT, BAR_HEIGHT = 62, 18
LETTER = 6.2  # about as wide as a letter of a label is
NEAR = (70, 14)  # closer than that, two labels would lie on each other
COLOURS = 6  # classes s0 to s5 of the style sheet
STEPS = (1, 2, 2.5, 5, 10)


@dataclasses.dataclass(frozen=True)
class Series:
    """Named points (x, y); those that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dashed: bool = False
    line: bool = True
    dots: bool = True
    labels: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values to places, linearly or by logarithm."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        """Returns the place of a value, rounded to a tenth."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.first + (at - low) / (high - low) * (self.last - self.first), 1)

    def ticks(self) -> list[float]:
        """Returns some round values within the scale."""
        make = _log_ticks if self.log else _whole_ticks if self.whole else _ticks
        found = make(self.low, self.high)
        return [t for t in found if self.low * (1 - 1e-9) <= t <= self.high * (1 + 1e-9)]


def nice_scale(values: Iterable[float], first: float, last: float, log: bool = False) -> Scale:
    """Returns a scale with some room around the values."""
    kept = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(kept), max(kept)) if kept else (0.1, 1.0)
    if log:
        return Scale(low / 1.3, high * 1.3, first, last, True)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 0.5
    return Scale(low - room, high + room, first, last)


def _whole_ticks(low: float, high: float) -> list[float]:
    if high - low > 12:
        return [t for t in _ticks(low, high) if t == int(t) and t >= 0]
    first, last = math.ceil(low), math.floor(high)
    return [float(n) for n in range(first, last + 1, max(1, math.ceil((last - first) / 6)))]


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in STEPS if s * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    factors = (1,) if decades > 2.5 else (1, 3) if decades > 1.2 else (1, 2, 5)
    every = max(1, math.ceil(decades / 5))
    return [f * 10.0**e for e in exponents if e % every == 0 for f in factors]


def written(value: float, percent: bool) -> str:
    """Returns the label of a tick."""
    if percent:
        return f"{value:.1%}".replace(".0%", "%")
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6g}"


@dataclasses.dataclass(frozen=True)
class Words:
    """What a chart says in words: title, what it shows, its axes."""

    title: str
    description: str
    x: str
    y: str


def xy_chart(
    words: Words,
    series: Sequence[Series],
    log_x: bool = False,
    log_y: bool = False,
    percent: bool = True,
    whole_x: bool = False,
) -> dict[str, object]:
    """Returns lines or points over two axes.

    Args:
      percent: whether y is a share.
      whole_x: whether x counts something.
    """
    kept = [dataclasses.replace(s, points=_finite(s.points, log_x, log_y)) for s in series]
    points = [p for s in kept for p in s.points]
    x = nice_scale((p[0] for p in points), LEFT, WIDTH - RIGHT, log_x)
    x = dataclasses.replace(x, whole=whole_x)
    y = nice_scale((p[1] for p in points), HEIGHT - BOTTOM, TOP, log_y)
    return {
        "kind": "xy",
        "words": words,
        "size": (WIDTH, HEIGHT),
        "frame": (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        "x_ticks": [(x(t), written(t, False)) for t in x.ticks()],
        "y_ticks": [(y(t), written(t, percent)) for t in y.ticks()],
        "series": _apart([_drawn(s, x, y) for s in kept]),
    }


def _apart(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Puts a label below its point where it would lie on one before it."""
    placed: list[dict[str, Any]] = []
    for dot in (dot for series in drawn for dot in series["dots"] if dot["label"]):
        dot["below"] = any(
            abs(dot["x"] - other["x"]) < NEAR[0]
            and abs(dot["y"] - other["y"]) < NEAR[1]
            and not other["below"]
            for other in placed
        )
        placed.append(dot)
    return drawn


def _finite(points: Iterable[tuple[float, float]], log_x: bool, log_y: bool) -> list:
    return [
        (a, b)
        for a, b in points
        if math.isfinite(a) and math.isfinite(b) and (a > 0 or not log_x) and (b > 0 or not log_y)
    ]


def _drawn(series: Series, x: Scale, y: Scale) -> dict[str, Any]:
    places = [(x(a), y(b)) for a, b in series.points]
    labels = [*series.labels, *[""] * (len(places) - len(series.labels))]
    return {
        "name": series.name,
        "colour": series.colour % COLOURS,
        "dashed": series.dashed,
        "path": " ".join(f"{a},{b}" for a, b in places) if series.line else "",
        "dots": [
            {"x": a, "y": b, "label": label, "left": a > WIDTH * 0.6, "below": False}
            for (a, b), label in zip(places, labels, strict=True)
            if series.dots
        ],
    }


@dataclasses.dataclass(frozen=True)
class Bar:
    """A row of a bar chart, with an interval where there is one."""

    label: str
    value: float
    text: str
    interval: tuple[float, float] | None = None


def bar_chart(words: Words, bars: Sequence[Bar], low: float = 0.0) -> dict[str, object]:
    """Returns horizontal bars that begin at `low`; with an interval, a dot and a whisker."""
    high = max((b.interval[1] if b.interval else b.value for b in bars), default=1.0)
    left = 14 + LETTER * max((len(bar.label) for bar in bars), default=0)
    across = Scale(low, high if high > low else low + 1, left, WIDTH - BAR_RIGHT)
    return {
        "kind": "bars",
        "words": words,
        "size": (WIDTH, BAR_HEIGHT * len(bars) + 8),
        "left": left,
        "rows": [
            {
                "label": bar.label,
                "text": bar.text,
                "y": number * BAR_HEIGHT + 4,
                "to": max(across(bar.value), left),
                "whisker": [across(max(low, v)) for v in bar.interval] if bar.interval else None,
            }
            for number, bar in enumerate(bars)
        ],
    }
