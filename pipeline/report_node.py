"""The last node of the graph, which is told of all others."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode

from components.code import code_digest
from components.report.component import Report
from components.report.render import templates_digest

SOURCES = {
    "comparison": "ModelSelector",
    "pushed_model": "VersionPusher",
    "examples": "MnistExampleGen",
    "statistics": "StatisticsGen",
    "anomalies": "StrictExampleValidator",
    "behaviour": "BehaviourTest",
}


def report_node(nodes: Iterable[BaseNode], models: Sequence[str]) -> BaseNode:
    """Returns the node that reports on all nodes before it.

    Args:
      models: in the order of the report.
    """
    by_id = {node.id: node for node in nodes}
    codes = {name: code_of(node) for name, node in by_id.items()}
    return Report(
        {key: by_id[name].outputs[key] for key, name in SOURCES.items()},
        {name: by_id[f"Trainer.{name}"].outputs["model_run"] for name in models},
        {name: code for name, code in codes.items() if code},
        f"{code_digest('components.report.component')}-{templates_digest()}",
    )


def code_of(node: BaseNode) -> str:
    """Returns the digest of a node's code, or nothing where TFX's own is all that it runs."""
    properties: dict[str, Any] = node.exec_properties
    settings = properties.get("custom_config")
    known = json.loads(settings) if isinstance(settings, str) else {}
    return str(properties.get("code") or known.get("code") or "")
