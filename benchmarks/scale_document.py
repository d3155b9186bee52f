"""The text of docs/scale.md from the results of `scale.py`: tables, and what follows by arithmetic.

A calculated figure stands under "On paper", with what is assumed for it; nothing there was run.
"""

import math
from collections.abc import Sequence
from typing import Any

from data_nodes import NODES
from document_table import table

Result = dict[str, Any]
ENGINES = {"memory": "in memory", "flink": "on Flink"}
BEAM_NODES = ("MnistExampleGen", "StatisticsGen", "Evaluator")  # the others send no jobs
MB = 1e6
FLAT = 1.1  # times the memory; above that it rises
WORSE = 1.15  # of the exponent of seconds over images; below that a busy machine explains it
BUSY = 10.0  # the load from which seconds are not compared; Flink's own is up to 8 on two cores
BILLION = 1_000_000_000
WORKERS = 100
MOST_SHARDS = 10_000  # of a split, as in components/example_gen.py
CORE_HOUR, GB_MONTH = 0.05, 0.02  # dollars; assumed, the order of what clouds ask for
FLINK_WORKERS = 2  # Python workers of the cluster that was measured


def document(found: Sequence[Result], machine: str) -> str:
    """Returns the text.

    Args:
      found: results in any order.
      machine: what it was run on.
    """
    ordered = sorted(found, key=lambda result: result["images"])
    by_engine = {
        name: [result for result in ordered if result["engine"] == name] for name in ENGINES
    }
    parts = [
        "# More digits",
        f"Made by `python benchmarks/scale.py` on {machine}. The sets are MNIST's digits turned, "
        "moved and resized by `benchmarks/make_digits.py`, six sevenths for training; `Evaluator` "
        "asks `sequential` about the last seventh. Each node ran in a process of its own. "
        "A dash: not measured. Sizes were run on different days, when the machine took up to "
        "1.6 times as long for the same.",
    ]
    for name, words in ENGINES.items():
        if by_engine[name]:
            parts += [f"## {words[0].upper()}{words[1:]}", _seconds(by_engine[name])]
            parts.append(_memory(by_engine[name]))
            parts.append(" ".join(_growth(by_engine[name])))
    parts += ["## On paper: 1 billion images", *_billion(by_engine["flink"])]
    return "\n\n".join(parts) + "\n"


def _cells(results: Sequence[Result], node: str, key: str, form: str, scale: float) -> list[str]:
    return [
        form.format(result["nodes"][node][key] / scale) if node in result["nodes"] else "-"
        for result in results
    ]


def _seconds(results: Sequence[Result]) -> str:
    head = ["seconds", *(f"{result['images']:,}" for result in results)]
    rows = [[node, *_cells(results, node, "seconds", "{:,.1f}", 1)] for node in NODES]
    for key, words in (("digits", "digits on the disk, MB"), ("examples", "examples, MB")):
        rows.append([words, *(f"{result['bytes'][key] / MB:,.0f}" for result in results)])
    loads = (max(node["load"] for node in result["nodes"].values()) for result in results)
    rows.append(["the machine's load, at most", *(f"{load:.1f}" for load in loads)])
    return table(head, rows)


def _memory(results: Sequence[Result]) -> str:
    head = ["most memory, MB", *(f"{result['images']:,}" for result in results)]
    rows = [[node, *_cells(results, node, "process", "{:,.0f}", MB)] for node in NODES]
    if any(_worker(result) for result in results):
        rows += [
            [f"{node}, the largest worker", *_cells(results, node, "worker", "{:,.0f}", MB)]
            for node in BEAM_NODES
        ]
        java = (max(n["java"] for n in result["nodes"].values()) for result in results)
        rows.append(["Flink's own processes together", *(f"{most / MB:,.0f}" for most in java)])
    return table(head, rows)


def _worker(result: Result) -> int:
    return max((node["worker"] for node in result["nodes"].values()), default=0)


def _with(results: Sequence[Result], node: str) -> list[Result]:
    """Returns the results in which a node was measured."""
    return [result for result in results if node in result["nodes"]]


def _quiet(results: Sequence[Result], node: str) -> list[Result]:
    """Returns the results in which a node was measured and the machine had little else to do."""
    return [r for r in _with(results, node) if r["nodes"][node]["load"] < BUSY]


def _exponent(small: Result, large: Result, node: str) -> float:
    """Returns how a node's seconds grow between two sizes: 1 is linear."""
    ratio = math.log(large["images"] / small["images"])
    return math.log(_took(large, node) / _took(small, node)) / ratio


def _took(result: Result, node: str) -> float:
    return max(0.1, result["nodes"][node]["seconds"])


def _growth(results: Sequence[Result]) -> list[str]:
    """Returns what is to be said of how seconds and memory grow, in sentences."""
    if len(results) < 2:
        return ["One size tells nothing of growth."]
    busy = [
        f"{node} with {result['images']:,} images (load {result['nodes'][node]['load']:.1f})"
        for node in BEAM_NODES
        for result in _with(results, node)
        if result not in _quiet(results, node)
    ]
    said = [f"Left out, since other work was running: {', '.join(busy)}."] if busy else []
    return [_seconds_grow(results), *said, _memory_grows(results)]


def _seconds_grow(results: Sequence[Result]) -> str:
    """Compares each node's two largest sizes."""
    worse = []
    for node in BEAM_NODES:
        quiet = _quiet(results, node)
        if len(quiet) > 1 and (exponent := _exponent(quiet[-2], quiet[-1], node)) > WORSE:
            worse.append(f"{node} (exponent {exponent:.2f})")
    if not worse:
        return "Between each node's two largest sizes seconds grow in none worse than linearly."
    return (
        "Between each node's two largest sizes seconds grow worse than linearly in "
        f"{', '.join(worse)}; [measured.md](measured.md#more-digits) says what was found of it."
    )


def _memory_grows(results: Sequence[Result]) -> str:
    """Compares each node's smallest and largest size of those that it was measured with."""
    rises = []
    for node in NODES:
        measured = _with(results, node)
        if len(measured) < 2:
            continue
        small, last, large = measured[0], measured[-2], measured[-1]
        for key, words in (("process", node), ("worker", f"{node}'s worker")):
            before, after = small["nodes"][node][key], large["nodes"][node][key]
            if before and after > FLAT * before:
                rise = f"{before / MB:,.0f} to {after / MB:,.0f} MB"
                times = large["images"] / small["images"]
                late = (after - last["nodes"][node][key]) / MB
                since = f"{late:+,.0f} MB from {last['images']:,} images on"
                rises.append(f"{words} ({rise} with {times:,.0f} times as many images; {since})")
    if not rises:
        return "Memory is flat: nowhere a tenth more with the most images than with the fewest."
    return f"Memory rises by more than a tenth in {', '.join(rises)}; it is flat elsewhere."


def _rate(results: Sequence[Result], node: str) -> float:
    """Returns the seconds that one more image takes, between the smallest and the largest size."""
    small, *_, large = _quiet(results, node)
    more = large["nodes"][node]["seconds"] - small["nodes"][node]["seconds"]
    return max(0.0, more) / (large["images"] - small["images"])


def _billion(results: Sequence[Result]) -> list[str]:
    if any(len(_quiet(results, node)) < 2 for node in BEAM_NODES):
        return ["Two sizes on Flink are needed for this; run `python benchmarks/scale.py`."]
    largest = results[-1]
    sizes = {key: n / largest["images"] * BILLION for key, n in largest["bytes"].items()}
    core_hours = {
        node: _rate(results, node) * BILLION * FLINK_WORKERS / 3600 for node in BEAM_NODES
    }
    rows = [
        [node, f"{hours:,.0f}", f"{hours / WORKERS:,.1f}"] for node, hours in core_hours.items()
    ]
    total = sum(core_hours.values())
    rows.append(["together", f"{total:,.0f}", f"{total / WORKERS:,.1f}"])
    return [
        "Calculated, not run, from each node's smallest and largest size on Flink. Assumed: "
        f"seconds grow as between these two, the {FLINK_WORKERS} workers there "
        f"were busy all the time with a core each, {WORKERS} workers are "
        f"{WORKERS / FLINK_WORKERS:.0f} times as quick as two, and the storage keeps up.",
        table(["node", "core hours", f"hours with {WORKERS} workers"], rows),
        "\n".join(_needs(sizes, total, max(_worker(result) for result in results))),
    ]


def _needs(sizes: dict[str, float], core_hours: float, memory: int) -> list[str]:
    """Returns what a billion images need; sizes and memory in bytes."""
    train = BILLION * 6 // 7 * 4 // 5
    digits, examples = (sizes[key] / 1e9 for key in ("digits", "examples"))
    return [
        f"* Shards: the training split has {train:,} digits in {MOST_SHARDS:,} files of "
        f"{-(-train // MOST_SHARDS):,}; at most {3 * MOST_SHARDS:,} in all. A job names each.",
        f"* Workers: {WORKERS} with a core and {math.ceil(1.5 * memory / 1e9)} GB each (the "
        f"largest had {memory / 1e9:.1f} GB here, and half as much again).",
        f"* Storage: {digits:,.0f} GB of digits and {examples:,.0f} GB of examples, on a disk "
        "that all workers see.",
        f"* Cost: {core_hours * CORE_HOUR:,.0f} dollars for {core_hours:,.0f} core hours at "
        f"{CORE_HOUR} dollars, {(digits + examples) * GB_MONTH:,.0f} dollars a month for the "
        f"storage at {GB_MONTH} dollars a GB. Both prices are assumed.",
        f"* What one process does alone: the digest, {digits:,.0f} GB read twice, by `mnist-tfx "
        "run` and by MnistExampleGen; at 1 GB a second (assumed) "
        f"{2 * digits / 60:,.0f} minutes, which no worker takes off.",
        "* Training is no part of this: a Trainer keeps its images in memory, "
        f"{train * 784 / 1e9:,.0f} GB of them, so that it would train on a part.",
    ]
