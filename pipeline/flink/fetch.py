"""Fetches Flink and Beam's runner for it with pip and Maven, once; nothing is installed."""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence

from pipeline.flink.versions import PINNED, Versions, check_runner_jars

REQUIREMENTS = pathlib.Path(__file__).parents[2] / "requirements" / "flink.txt"
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
JAVAS = (11, 17)  # that Flink 1.19 runs on
FETCH_SECONDS = 1_800
# Of the folder `lib`, what a cluster of Beam jobs needs: no tables, no SQL.
FLINK_JARS = re.compile(r".*/deps/lib/((?:flink-dist|log4j)-[^/]+\.jar)")


class Unavailable(RuntimeError):
    """Something that the cluster needs is missing and cannot be fetched."""


@dataclasses.dataclass(frozen=True)
class Packages:
    """Where the jars are.

    Attributes:
      flink: Flink's own, logging included.
      runner: those of Beam's runner.
    """

    flink: pathlib.Path
    runner: pathlib.Path

    @classmethod
    def under(cls, folder: pathlib.Path, versions: Versions = PINNED) -> "Packages":
        """Returns where they are, or will be, under a folder."""
        at = folder.resolve() / "packages"
        return cls(at / f"flink-{versions.flink}", at / f"runner-{versions.runner}")

    @property
    def jars(self) -> list[pathlib.Path]:
        """Every jar, Flink's first: some libraries come with both."""
        return [*sorted(self.flink.glob("*.jar")), *sorted(self.runner.glob("*.jar"))]


def fetched(folder: pathlib.Path, versions: Versions = PINNED) -> Packages:
    """Returns the packages that were fetched before.

    Raises:
      Unavailable: they were not.
      VersionMismatch: they are of other releases.
    """
    packages = Packages.under(folder, versions)
    if not (packages.flink.is_dir() and packages.runner.is_dir()):
        raise Unavailable(
            f"expected Flink {versions.flink} and Beam's runner {versions.runner} under {folder}; "
            f"they are not there: run python -m pipeline.flink fetch --folder {folder}"
        )
    check_runner_jars([jar.name for jar in packages.runner.glob("*.jar")], versions)
    return packages


def fetch(folder: pathlib.Path, versions: Versions = PINNED) -> Packages:
    """Fetches what is not there yet; each of the two is there whole or not at all.

    Raises:
      Unavailable: Java or Maven is missing, or a package is not to be had; says which.
    """
    check_java()
    packages = Packages.under(folder, versions)
    for wanted, fetch_into in ((packages.flink, _fetch_flink), (packages.runner, _fetch_runner)):
        if wanted.is_dir():
            continue
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wanted.parent) as half:
            fetch_into(pathlib.Path(half), versions).rename(wanted)
    return fetched(folder, versions)


def check_java() -> str:
    """Returns the path of a Java that Flink runs on.

    Raises:
      Unavailable: there is none on the path, or it is too old or too new.
    """
    java = shutil.which("java")
    wanted = f"expected Java {JAVAS[0]} to {JAVAS[1]} on the path, for Flink"
    advice = "install one (Debian 12: apt-get install openjdk-17-jre-headless)"
    if java is None:
        raise Unavailable(f"{wanted}; there is none: {advice}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or not JAVAS[0] <= int(found.group(1)) <= JAVAS[1]:
        raise Unavailable(f"{wanted}; got {said.splitlines()[0] if said else java!r}: {advice}")
    return java


def _fetch_flink(at: pathlib.Path, versions: Versions) -> pathlib.Path:
    """Takes the engine's jars out of its archive; pip checks its digest."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    what = f"apache-flink-libraries {versions.flink}, from a Python package index"
    _run([*command, "--dest", str(at), "-r", str(REQUIREMENTS)], what)
    (archive,) = at.glob("*.tar.gz")
    jars = at / "jars"
    jars.mkdir()
    with tarfile.open(archive) as whole:
        for member in whole:
            if (name := FLINK_JARS.fullmatch(member.name)) and (file := whole.extractfile(member)):
                with (jars / name.group(1)).open("wb") as copy:
                    shutil.copyfileobj(file, copy)
    return jars


def _fetch_runner(at: pathlib.Path, versions: Versions) -> pathlib.Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(
            "expected Maven (mvn) on the path, to fetch Beam's runner for Flink; there is none: "
            "install it (Debian 12: apt-get install maven)"
        )
    pom, jars = at / "pom.xml", at / "jars"
    pom.write_text(versions.pom)
    command = [maven, "--batch-mode", "-f", str(pom), COPY_DEPENDENCIES]
    what = f"beam-runners-flink-{versions.flink_minor} {versions.runner}, from Maven Central"
    _run([*command, f"-DoutputDirectory={jars}"], what)
    return jars


def _run(command: Sequence[str], what: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=FETCH_SECONDS,
    )
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line.upper()]
        reason = (errors or done.stdout.splitlines() or ["nothing was said"])[0]
        raise Unavailable(f"{what}, is not to be had here: {reason.strip()[:300]}")
