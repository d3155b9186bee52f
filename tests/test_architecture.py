"""What may import what, and how large things may grow, read from the source by `ast`."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("components", "pipeline", "serving")
SCRIPTS = ("kubeflow", "benchmarks")  # folders of programs, not packages
FUNCTION_LINES = 40
MODULE_LINES = 220

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def imports(node: ast.AST, lazily: bool = True) -> Iterator[str]:
    """Yields the dotted names that are imported; `lazily` inside functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield "." * child.level + (child.module or "")
        elif lazily or not isinstance(child, Function):
            yield from imports(child, lazily)


def ours(file: Path, lazily: bool = True) -> set[str]:
    """Returns which of our top-level packages a file imports."""
    names = {name.split(".")[0] for name in imports(tree_of(file), lazily)}
    return names & {*PACKAGES, "tests", "benchmarks"}


def code_lines(text: str) -> set[int]:
    """Returns the numbers of the lines that hold code, so neither blank nor a comment alone."""
    layout = {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT),
        *(tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER),
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = (range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in layout)
    return {line for span in spans for line in span}


def length(function: Function, code: set[int]) -> int:
    """Returns the lines of code of a function, from its `def`, without its docstring."""
    lines = code & {*range(function.lineno, (function.end_lineno or 0) + 1)}
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= {*range(docstring.lineno, (docstring.end_lineno or 0) + 1)}
    return len(lines)


def test_every_package_is_looked_at() -> None:
    assert all(files(package) for package in PACKAGES)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("components", {"components"}),
        ("pipeline", {"components", "pipeline", "serving"}),
        ("serving", {"serving"}),
    ],
)
def test_a_package_imports_of_ours_only_what_is_below_it(package: str, allowed: set[str]) -> None:
    assert {str(f.relative_to(ROOT)): ours(f) - allowed for f in files(package)} == {
        str(f.relative_to(ROOT)): set() for f in files(package)
    }


def test_pipeline_imports_serving_inside_functions_alone() -> None:
    at_the_top = [f.name for f in files("pipeline") if "serving" in ours(f, lazily=False)]
    assert at_the_top == []


def test_no_import_is_relative() -> None:
    """Digests of code follow absolute imports alone."""
    relative = [f.name for f in files(*PACKAGES) for n in imports(tree_of(f)) if n.startswith(".")]
    assert relative == []


@pytest.mark.parametrize("folder", [*SCRIPTS, "tests"])
def test_a_folder_of_programs_is_no_package(folder: str) -> None:
    """An `__init__.py` in kubeflow/ would shadow the SDK of that name."""
    assert "__init__.py" not in {file.name for file in files(folder)}


@pytest.mark.parametrize("folder", ["kubeflow", "tests"])
def test_no_program_shadows_a_package_of_ours(folder: str) -> None:
    """A script's folder comes first on Python's path."""
    assert not {file.stem for file in files(folder)} & {*PACKAGES}


def test_no_module_is_named_for_nothing_in_particular() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [
        f for f in files(*PACKAGES, *SCRIPTS, "tests") if {f.stem, f.parent.name} & nothing
    ] == []


def test_every_module_starts_with_a_docstring() -> None:
    modules = files(*PACKAGES, *SCRIPTS, "tests")
    assert [f for f in modules if not ast.get_docstring(tree_of(f))] == []


def test_no_function_is_longer_than_forty_lines_of_code() -> None:
    long = {
        f"{file.relative_to(ROOT)}: {node.name}": lines
        for file in files(*PACKAGES)
        for code in [code_lines(file.read_text())]
        for node in ast.walk(tree_of(file))
        if isinstance(node, Function) and (lines := length(node, code)) > FUNCTION_LINES
    }
    assert long == {}


def test_no_module_is_longer_than_its_limit() -> None:
    lengths = {f: len(f.read_text().splitlines()) for f in files(*PACKAGES)}
    assert {str(f): n for f, n in lengths.items() if n > MODULE_LINES} == {}


def test_lines_of_code_count_neither_docstrings_nor_comments_nor_blanks() -> None:
    text = 'def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    # A reason.\n\n    return x\n'
    (function,) = ast.parse(text).body
    assert isinstance(function, Function)
    assert length(function, code_lines(text)) == 4
