"""Writes a report as one self-contained page and as Markdown, from the same sections."""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jinja2

from components.report import (
    behaving,
    costing,
    deciding,
    examining,
    learning,
    mistaking,
    tracing,
)
from components.report.files import MARKDOWN_FILE, PAGE_FILE, REPORT_FILE
from components.report.page_parts import Report, Section

FOLDER = pathlib.Path(__file__).parent / "templates"
SECTIONS: tuple[tuple[str, Callable[[Report], Section]], ...] = (
    ("the models", deciding.models),
    ("the study's numbers", deciding.the_study),
    ("learning curves", learning.curves),
    ("what the doctor saw", examining.health),
    ("tuner trials", learning.trials),
    ("the confusion matrix", mistaking.confusion),
    ("accuracy by digit", mistaking.by_digit),
    ("the most confident mistakes", mistaking.pictures),
    ("the behaviour on changed digits", behaving.behaviour),
    ("accuracy against cost", costing.costs),
    ("the data", tracing.data),
    ("where the time went", costing.times),
    ("lineage", tracing.lineage),
)
CANNOT = (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError)


def templates_digest() -> str:
    """Returns a short SHA-256 of the templates, which the digest of the code does not cover."""
    total = hashlib.sha256()
    for file in sorted(FOLDER.iterdir()):
        total.update(f"{file.name}\n".encode() + file.read_bytes())
    return total.hexdigest()[:16]


def sections_of(report: Report) -> tuple[list[Section], list[str]]:
    """Returns what can be shown, the decision first, and a sentence for each part that cannot."""
    decided = {"decision": {}, "models": [], **report}
    missing = [str(words) for words in report.get("missing") or ()]
    shown = []
    for what, make in (("the decision", deciding.decision), *SECTIONS):
        try:
            shown.append(make(decided))
        except CANNOT as error:
            missing.append(f"{what} cannot be shown: {_in_words(error)}")
    return shown, missing


def _in_words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def page(report: Report) -> str:
    """Returns the HTML."""
    return _written("page.html.j2", report)


def markdown(report: Report) -> str:
    """Returns the same as Markdown, without charts and pictures."""
    return _written("report.md.j2", report)


def _written(template: str, report: Report) -> str:
    sections, missing = sections_of(report)
    style = (FOLDER / "style.css").read_text()
    rendered = _environment().get_template(template)
    return rendered.render(sections=sections, missing=missing, style=style) + "\n"


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["plain"] = _plain
    return made


def _plain(text: object) -> str:
    """Returns text that Markdown shows as it is, in a cell too."""
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())


def write(report: Report, folder: pathlib.Path) -> None:
    """Writes the report's three files; a reader sees an old file or a new one, never a part."""
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, Any] = {
        REPORT_FILE: json.dumps(report, indent=1) + "\n",
        PAGE_FILE: page(report),
        MARKDOWN_FILE: markdown(report),
    }
    for name, text in texts.items():
        part = folder / f".{name}.part"
        part.write_text(text)
        part.replace(folder / name)
