"""A stage of an image in a folder, and how a command is started in it by chroot; no building."""

import dataclasses
import os
import pathlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence

# Those that the Dockerfile names as writable; a container engine makes the mount points itself.
WRITABLE = ("tmp", "minio", "s3", "gcs", ".local", ".cache", ".config", "mnt/mnist-tfx")


@dataclasses.dataclass
class Stage:
    """A stage of the build: its root folder, and what the instructions said so far.

    Attributes:
      steps: what each instruction took, and by how much it made the root larger.
    """

    root: pathlib.Path
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    args: dict[str, str] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    cmd: list[str] = dataclasses.field(default_factory=list)
    steps: list[dict[str, str | float]] = dataclasses.field(default_factory=list)

    def inside(self, path: str) -> pathlib.Path:
        """Returns where a path of the image is on this machine."""
        return self.root / os.path.join(self.workdir, path).lstrip("/")


def chrooted(
    stage: Stage,
    command: Sequence[str],
    env: Mapping[str, str],
    user: str,
    files: Mapping[str, str],
    read_only: bool = False,
) -> list[str]:
    """Returns a command that runs another one in a stage's root, with mounts that end with it.

    Args:
      user: numbers of user and group, as in `10001:0`.
      files: files of this machine by the place where they are seen inside.
      read_only: whether nothing but WRITABLE, empty memory each, can be written to.
    """
    root = shlex.quote(str(stage.root))
    lines = ["set -eu", f"mount --bind {root} {root}", f"cd {root}"]
    if read_only:
        lines.append(f"mount -o remount,bind,ro {root}")
        lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}/{place}" for place in WRITABLE]
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    lines += [f"mount --bind {shlex.quote(b)} {root}{shlex.quote(a)}" for a, b in files.items()]
    enter = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
    enter += ["sh", "-c", 'cd "$0" && exec "$@"', stage.workdir, *command]
    lines.append(f"exec chroot --userspec={user} --groups= {root} {shlex.join(enter)}")
    return ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "\n".join(lines)]


def mount_points(root: pathlib.Path, files: Mapping[str, str]) -> list[pathlib.Path]:
    """Makes empty files to mount upon where there are none; returns those that it made."""
    places = [root / place.lstrip("/") for place in files]
    made = [place for place in places if not place.exists()]
    for place in made:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return made


def size_of(root: pathlib.Path) -> int:
    """Returns the bytes in a folder's files, each counted once, as an image's layer has them."""
    if not root.exists():
        return 0
    command = ["du", "-s", "--apparent-size", "--block-size=1", str(root)]
    return int(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    )
