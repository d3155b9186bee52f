"""Builds kubeflow/Dockerfile without a container engine, and starts commands in what came out.

Needs root on Linux, for chroot and mounts, and a folder that plays the base image. The very
instructions of the Dockerfile are carried out:

    build_in_chroot.py build --base ROOT --work DIR [--build-arg VARIANT=cpu] [--secret pip=FILE]
    build_in_chroot.py run --work DIR [--user 10001:0] -- mnist-tfx --help

FROM, ARG, ENV, LABEL, WORKDIR, COPY (also --from), RUN (shell form, also --mount=type=secret), USER
and CMD are known; any other instruction or flag is refused. What it is not: there are no layers,
digests or caches; a stage is a full copy of the one it is from; whatever FROM names outside the
file is ROOT; commands see this machine's network, /dev and kernel, and have all of its rights.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from chroot_image import WRITABLE, Stage, chrooted, mount_points, size_of
from dockerfile_reader import Ignore, Instruction, filled, instructions

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
RESULT = "image.json"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"  # of the base image
MIB = 1 << 20


class Build:
    """Carries out a Dockerfile's instructions, one after the other."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Takes the words of the command line."""
        self._options = options
        self._given = dict(pair.split("=", 1) for pair in options.build_arg)
        self._secrets = dict(pair.split("=", 1) for pair in options.secret)
        self._passed = {name: os.environ[name] for name in options.env if name in os.environ}
        self._global: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}
        self._stage: Stage | None = None

    def run(self, text: str) -> Stage:
        """Carries out a Dockerfile's text and returns its last stage."""
        self._context()
        for instruction in instructions(text):
            method = getattr(self, f"_{instruction.word.lower()}", None)
            if method is None:
                raise ValueError(f"{instruction.word} is not supported by {__file__}")
            method(instruction)
        return self._now()

    def _context(self) -> None:
        """Copies what .dockerignore lets through, as an engine sends it to its builder."""
        self._files = self._options.work / "context"
        ignore = Ignore((self._options.context / ".dockerignore").read_text())
        for file in ignore.files(self._options.context):
            (self._files / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._options.context / file, self._files / file)

    def _now(self) -> Stage:
        if self._stage is None:
            raise ValueError("expected FROM before this instruction")
        return self._stage

    def _values(self) -> dict[str, str]:
        return {**self._now().args, **self._now().env}

    def _from(self, instruction: Instruction) -> None:
        image, _, name = filled(instruction.rest, self._global).partition(" AS ")
        before = self._stages.get(image)
        root = self._options.work / f"stage-{len(self._stages)}"
        source = before.root if before else self._options.base
        said = f"FROM {image}"
        self._stage = dataclasses.replace(before or Stage(root), root=root, args={}, steps=[])
        self._stage.env, self._stage.labels = dict(self._stage.env), dict(self._stage.labels)
        self._stages[name or str(len(self._stages))] = self._stage
        self._timed(said, ["cp", "-a", "--reflink=auto", str(source), str(root)])

    def _arg(self, instruction: Instruction) -> None:
        values = self._global if self._stage is None else self._stage.args
        for name, default in instruction.pairs().items():
            values[name] = self._given.get(name, default or self._global.get(name, ""))

    def _env(self, instruction: Instruction) -> None:
        pairs = instruction.pairs().items()
        self._now().env |= {name: filled(value, self._values()) for name, value in pairs}

    def _label(self, instruction: Instruction) -> None:
        pairs = instruction.pairs().items()
        self._now().labels |= {name: filled(value, self._values()) for name, value in pairs}

    def _workdir(self, instruction: Instruction) -> None:
        stage = self._now()
        stage.workdir = os.path.join(stage.workdir, filled(instruction.rest, self._values()))
        stage.inside("").mkdir(parents=True, exist_ok=True)

    def _user(self, instruction: Instruction) -> None:
        self._now().user = filled(instruction.rest, self._values())

    def _cmd(self, instruction: Instruction) -> None:
        self._now().cmd = json.loads(instruction.rest)

    def _copy(self, instruction: Instruction) -> None:
        _only(instruction, "from")
        *sources, target = shlex.split(filled(instruction.rest, self._values()))
        origin = instruction.flag("from")
        folder = self._stages[origin].root if origin else self._files
        found = [one for source in sources for one in sorted(folder.glob(source.lstrip("/")))]
        if not found:
            raise ValueError(f"COPY: expected {sources} in {origin or 'the context'}; not there")
        place = self._now().inside(target)
        many = target.endswith("/") or len(found) > 1
        (place if many or found[0].is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
        names = [f"{one}/." if one.is_dir() else str(one) for one in found]
        owner = [] if origin else ["--no-preserve=ownership"]
        self._timed(_said(instruction), ["cp", "-a", *owner, *names, str(place)])

    def _run(self, instruction: Instruction) -> None:
        _only(instruction, "mount")
        stage, mounts = self._now(), {}
        for _, mount in instruction.flags:
            fields = dict(field.split("=", 1) for field in mount.split(","))
            if fields["type"] != "secret":
                raise ValueError(f"expected --mount=type=secret; got {mount}")
            if fields["id"] in self._secrets:
                mounts[fields["target"]] = self._secrets[fields["id"]]
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            mounts[file] = file
        env = {"PATH": BASE_PATH, **self._passed, **self._values()}
        command = ["sh", "-c", instruction.rest]
        made = mount_points(stage.root, mounts)
        try:
            self._timed(_said(instruction), chrooted(stage, command, env, stage.user, mounts))
        finally:
            for file in made:
                file.unlink()

    def _timed(self, said: str, command: Sequence[str]) -> None:
        """Runs a command and notes what it took; ends the build where it fails."""
        stage = self._now()
        before, begun = size_of(stage.root), time.monotonic()
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise ValueError(f"{said}: failed with {done.returncode}: see above")
        seconds = time.monotonic() - begun
        grown = (size_of(stage.root) - before) / MIB
        stage.steps.append({"step": said, "MiB": round(grown, 1), "seconds": round(seconds, 1)})
        print(f"{grown:9.1f} MiB {seconds:7.1f} s  {said}", flush=True)


def _only(instruction: Instruction, *known: str) -> None:
    others = sorted({name for name, _ in instruction.flags} - {*known})
    if others:
        raise ValueError(f"{instruction.word} --{others[0]} is not supported by {__file__}")


def _said(instruction: Instruction) -> str:
    words = " ".join([instruction.word, *instruction.rest.split()])
    return words if len(words) < 70 else f"{words[:66]} ..."


def build(options: argparse.Namespace) -> int:
    """Builds, and leaves the last stage and its description in the work folder."""
    options.work.mkdir(parents=True)
    stage = Build(options).run(options.file.read_text())
    for place in WRITABLE:
        (stage.root / place).mkdir(parents=True, exist_ok=True)
    described = {**dataclasses.asdict(stage), "root": stage.root.name}
    (options.work / RESULT).write_text(json.dumps(described, indent=2) + "\n")
    return 0


def run(options: argparse.Namespace) -> int:
    """Runs a command on a read-only root with the image's environment; returns its exit code."""
    described = json.loads((options.work / RESULT).read_text())
    stage = Stage(**{**described, "root": options.work / described["root"]})
    user = options.user or stage.user
    command = chrooted(stage, options.command or stage.cmd, stage.env, user, {}, read_only=True)
    return subprocess.run(command, check=False).returncode


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Returns what the command line asks for."""
    parser = argparse.ArgumentParser(description="Builds kubeflow/Dockerfile in a chroot.")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("build")
    one.set_defaults(act=build)
    one.add_argument("--base", type=pathlib.Path, required=True, help="the base image's root")
    one.add_argument("--file", type=pathlib.Path, default=REPOSITORY / "kubeflow" / "Dockerfile")
    one.add_argument("--context", type=pathlib.Path, default=REPOSITORY)
    one.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--secret", action="append", default=[], metavar="ID=FILE")
    one.add_argument("--env", action="append", default=[], metavar="NAME", help="passed to RUN")
    two = commands.add_parser("run")
    two.set_defaults(act=run)
    two.add_argument("--user", default="", metavar="UID:GID")
    two.add_argument("command", nargs="*")
    for command in (one, two):
        command.add_argument("--work", type=pathlib.Path, required=True, help="of the build")
    asked = parser.parse_args(words)
    asked.work = asked.work.resolve()
    return asked


if __name__ == "__main__":
    asked = parse(sys.argv[1:])
    try:
        sys.exit(asked.act(asked))
    except (OSError, ValueError) as error:
        sys.exit(f"build_in_chroot: {error}")
