"""What a Dockerfile and a .dockerignore say, as plain values; nothing is run.

Of the Dockerfile's language this takes what kubeflow/Dockerfile uses: comments, continued lines,
`$NAME` and `${NAME}`, flags before the arguments. Here-documents, parser directives, the escape
character and `${NAME:-default}` are refused or not known.
"""

import dataclasses
import os
import pathlib
import re
import shlex
import string
from collections.abc import Iterator, Mapping

FLAG = re.compile(r"--([a-z]+)=(\S+)\s+")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction: its word in capitals, its flags (each as often as it is there), the rest."""

    word: str
    flags: tuple[tuple[str, str], ...]
    rest: str

    def flag(self, name: str) -> str:
        """Returns the last value of a flag, or an empty text."""
        return dict(self.flags).get(name, "")

    def pairs(self) -> dict[str, str]:
        """Returns the `NAME=value` of ENV, LABEL and ARG, without quotes; no value is empty."""
        split = (word.partition("=") for word in shlex.split(self.rest))
        return {name: value for name, _, value in split}


def instructions(text: str) -> list[Instruction]:
    """Returns a Dockerfile's instructions in their order; variables are not filled in yet."""
    joined = re.sub(r"\\\n", " ", "\n".join(_without_comments(text)))
    return [_instruction(line) for line in joined.splitlines() if line.strip()]


def _without_comments(text: str) -> Iterator[str]:
    """Yields the lines that are no comment; Docker drops those inside a continued line, too."""
    return (line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _instruction(line: str) -> Instruction:
    word, _, rest = line.strip().partition(" ")
    flags, rest = [], rest.strip()
    while found := FLAG.match(rest):
        flags.append((found[1], found[2]))
        rest = rest[found.end() :]
    if rest.startswith("<<"):
        raise ValueError(f"expected no here-document; got {line!r}: write it as `RUN a && b`")
    return Instruction(word.upper(), tuple(flags), rest)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fills `$NAME` and `${NAME}` in; a name that has no value becomes empty, as in Docker.

    Raises:
      ValueError: another form, such as `${NAME:-default}`.
    """
    names = string.Template(text).get_identifiers()
    if not string.Template(text).is_valid():
        raise ValueError(f"expected $NAME or ${{NAME}} alone; got {text!r}")
    return string.Template(text).substitute({name: values.get(name, "") for name in names})


class Ignore:
    """A .dockerignore: the last pattern that fits a path or a folder above it decides."""

    def __init__(self, text: str) -> None:
        """Takes the text of the file."""
        lines = (line.strip() for line in text.splitlines())
        kept = [line for line in lines if line and not line.startswith("#")]
        self._again = [line[1:] for line in kept if line.startswith("!")]
        self._rules = [(line.startswith("!"), _regex(line.removeprefix("!"))) for line in kept]

    def ignores(self, path: str) -> bool:
        """Says whether a path, relative to the context, is left out."""
        parts = path.split("/")
        above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        ignored = False
        for again, regex in self._rules:
            if any(regex.fullmatch(one) for one in above):
                ignored = not again
        return ignored

    def files(self, context: pathlib.Path) -> Iterator[str]:
        """Yields the files of a context that are not left out, as relative paths."""
        for folder, folders, names in os.walk(context):
            here = pathlib.Path(folder).relative_to(context)
            folders[:] = sorted(name for name in folders if self._worth_a_look(str(here / name)))
            paths = (str(here / name) for name in sorted(names))
            yield from (path for path in paths if not self.ignores(path))

    def _worth_a_look(self, folder: str) -> bool:
        return not self.ignores(folder) or any(p.startswith(f"{folder}/") for p in self._again)


def _regex(pattern: str) -> re.Pattern[str]:
    """Returns Docker's pattern as an expression: `**` for any folders, `*` and `?` for names."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part) or re.escape(part) for part in parts))
