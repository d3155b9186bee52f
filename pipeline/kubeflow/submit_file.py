"""The compiled file as `submit` uploads it: checked, named by its content, perhaps uncached."""

import copy
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from pipeline.kubeflow import compiled, layout, parameters
from pipeline.wrong_call import WrongCall

DIGITS_OF_DIGEST = 12
PLACES = {p.name for p in (parameters.DATA, parameters.PUSH_DESTINATION, parameters.STATE_DIR)}
_MADE_BY = re.compile(rf"description: ['\"]?{layout.PROJECT} ([^\s,'\"]+)")
_AGAIN = f"run `{layout.PROJECT} kubeflow compile` again"


@dataclasses.dataclass(frozen=True)
class Upload:
    """A pipeline and its text: the spec and, behind it, the platform spec where there is one."""

    text: str
    pipeline: compiled.Compiled

    @property
    def version_name(self) -> str:
        """A name that this content alone has, and that Kubernetes would take too."""
        found = _MADE_BY.search(self.text)
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:DIGITS_OF_DIGEST]
        name = f"{self.pipeline.name}-{found.group(1) if found else 'unknown'}-{digest}"
        return re.sub("[^a-z0-9.-]", "-", name)

    def without_cache(self, tasks: Iterable[str]) -> "Upload":
        """Returns the pipeline with caching turned off for these tasks."""
        spec = copy.deepcopy(self.pipeline.spec)
        for name in tasks:
            spec["root"]["dag"]["tasks"][name]["cachingOptions"] = {"enableCache": False}
        changed = dataclasses.replace(self.pipeline, spec=spec)
        documents = [spec, changed.platform] if changed.platform else [spec]
        return Upload(yaml.safe_dump_all(documents, width=1_000_000), changed)


def read_upload(path: pathlib.Path, installed: str, force: bool = False) -> Upload:
    """Reads a compiled pipeline.

    Args:
      path: YAML with the pipeline spec and, behind it, possibly a platform spec.
      installed: the version of mnist-tfx that is installed.
      force: takes a file of another version too.

    Raises:
      WrongCall: says what is wrong with the file and what to do.
    """
    text = _read(path)
    found = _MADE_BY.search(text)
    if found and found.group(1) != installed and not force:
        raise WrongCall(
            f"expected a pipeline that {layout.PROJECT} {installed} compiled; {path} is of "
            f"{found.group(1)}: {_AGAIN}, or submit it with --force"
        )
    try:
        read = compiled.read(path, found.group(1) if found else installed)
    except compiled.NotCompiled as error:
        words = " ".join(str(error).split())  # the parser's are of several lines
        raise WrongCall(words if "compile it again" in words else f"{words}: {_AGAIN}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise WrongCall(f"expected a KFP pipeline in {path}; it is none: {_AGAIN}") from error
    for problem in _cut_off(text, read):
        raise WrongCall(f"expected a whole file at {path}; {problem}: {_AGAIN}")
    return Upload(text, read)


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        words = f"expected a compiled pipeline at {path}; there is none: {_AGAIN}"
        raise WrongCall(words.removesuffix(" again")) from None
    except OSError as error:
        words = f"expected a compiled pipeline at {path}; it cannot be read: {error.strerror}"
        raise WrongCall(words) from None
    except UnicodeDecodeError:
        raise WrongCall(f"expected YAML in {path}; it is no text: {_AGAIN}") from None


def _cut_off(text: str, read: compiled.Compiled) -> Iterator[str]:
    """Yields what shows that the end is missing, where the rest is valid YAML nevertheless.

    A cut at the end of a line mostly leaves a key without a value, or a task without its volume.
    """
    if not text.endswith("\n"):
        yield "it ends in the middle of a line"
    if text.rstrip().endswith("---"):
        yield "its platform spec is empty"
    for key in (*_without_value(read.spec), *_without_value(read.platform)):
        yield f"its key {key} has no value"
    executors = _at(read.platform, "platforms", "kubernetes", "deploymentSpec", "executors")
    for name, task in read.tasks.items():
        label = read.component(task)["executorLabel"]
        if read.platform and _on_volume(task) and not _at(executors, label).get("pvcMount"):
            yield f"the task {name} has no volume"


def _without_value(tree: Any) -> Iterator[str]:
    """Yields the keys with no value, of which a spec, made from a message, has none."""
    if isinstance(tree, list):
        tree = dict(enumerate(tree))
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if value is None:
            yield str(key)
        yield from _without_value(value)


def _on_volume(task: Mapping[str, Any]) -> bool:
    """Returns whether a task is told a place on the volume."""
    inputs = _at(task, "inputs", "parameters").values()
    return any(each.get("componentInputParameter") in PLACES for each in inputs)


def _at(tree: Any, *keys: str) -> Mapping[str, Any]:
    """Returns the map below these keys, or an empty one where there is none."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}
