"""Which releases of Flink and of Beam's runner go together; nothing is fetched or started here."""

import dataclasses
import importlib.metadata
import re
from collections.abc import Sequence

# Beam's runner for Flink comes as a ready job server of one file, and as the libraries that it is
# made of. These are taken: they are to be had where the large file is not.
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>mnist-tfx</groupId>
  <artifactId>flink-job-server</artifactId>
  <version>1</version>
  <dependencies>{dependencies}
  </dependencies>
</project>
"""
DEPENDENCY = """
    <dependency>
      <groupId>org.apache.beam</groupId>
      <artifactId>{name}</artifactId>
      <version>{version}</version>
      <exclusions>{exclusions}
      </exclusions>
    </dependency>"""
EXCLUSION = """
        <exclusion><groupId>{group}</groupId><artifactId>{name}</artifactId></exclusion>"""
JOB_SERVICE = "beam-runners-java-job-service"
# Flink and its logging come from Flink; the rest is for Google's storage, whose own classes stay
# since the job server names them. What is left is sent to the cluster with each job.
EXCLUDED = (
    ("org.apache.flink", "*"),
    ("org.slf4j", "*"),
    ("io.grpc", "*"),
    ("io.opencensus", "*"),
    ("com.google.api.grpc", "*"),
    # For workers in Java; it holds classes of the runner again, in the job service's release.
    ("org.apache.beam", "beam-sdks-java-harness"),
)


class VersionMismatch(RuntimeError):
    """What is installed or fetched does not go together."""


@dataclasses.dataclass(frozen=True)
class Versions:
    """Releases that were run together.

    Attributes:
      beam: of the Python package, so of the graph and of the workers.
      runner: of Beam's runner for Flink, in Java.
      job_service: of the library that the runner takes jobs through; that of the runner's own
        release is not in every mirror, and 2.65 has the same interface.
      flink: of the cluster.
    """

    beam: str = "2.77.0"
    runner: str = "2.70.0"
    job_service: str = "2.65.0"
    flink: str = "1.19.3"

    @property
    def flink_minor(self) -> str:
        """What the runner's name and the cluster must agree on, "1.19" say."""
        return ".".join(self.flink.split(".")[:2])

    @property
    def pom(self) -> str:
        """Maven's list of the runner's libraries, without Flink's own."""
        runner = f"beam-runners-flink-{self.flink_minor}"
        made = _dependency(runner, self.runner, (*EXCLUDED, ("org.apache.beam", JOB_SERVICE)))
        return POM.format(dependencies=made + _dependency(JOB_SERVICE, self.job_service, EXCLUDED))


def _dependency(name: str, version: str, excluded: Sequence[tuple[str, str]]) -> str:
    exclusions = "".join(EXCLUSION.format(group=g, name=n) for g, n in excluded)
    return DEPENDENCY.format(name=name, version=version, exclusions=exclusions)


PINNED = Versions()


def installed_beam() -> str:
    """Returns the release of the Python package, without importing it."""
    return importlib.metadata.version("apache-beam")


def check_beam(versions: Versions = PINNED, installed: str | None = None) -> None:
    """Checks that Beam in this environment is the one that the runner was run with.

    Raises:
      VersionMismatch: another one is installed.
    """
    found = installed or installed_beam()
    if found != versions.beam:
        raise VersionMismatch(
            f"expected apache-beam {versions.beam}, which Beam's Flink runner {versions.runner} "
            f"was run with; {found} is installed: install {versions.beam}, or change "
            "pipeline/flink/versions.py and run make test-flink"
        )


def check_runner_jars(names: list[str], versions: Versions = PINNED) -> None:
    """Checks the file names of a folder of the runner's libraries.

    Raises:
      VersionMismatch: the runner is missing, or is of another release or for another Flink.
    """
    runners = [m for n in names if (m := re.fullmatch(r"beam-runners-flink-([\d.]+)-(.+)\.jar", n))]
    wanted = (versions.flink_minor, versions.runner)
    if [m.groups() for m in runners] != [wanted]:
        found = ", ".join(m.group() for m in runners) or "none"
        raise VersionMismatch(
            f"expected beam-runners-flink-{wanted[0]}-{wanted[1]}.jar alone; got {found}: run "
            "python -m pipeline.flink fetch again"
        )
