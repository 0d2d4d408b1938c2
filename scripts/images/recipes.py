"""The recipe of every image: its name, its input files, and the digest of its inputs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from common.airflow_version import AIRFLOW_VERSION
from common.files import hash_files
from common.paths import REPOSITORY
from images.rootfs import SETTINGS

_CONTAINERS = Path(__file__).parent / "containers"
_REQUIREMENTS = REPOSITORY / "requirements"


@dataclass(frozen=True)
class Recipe:
    """The inputs of one image.

    Attributes:
        name: of the image, and of its folder in `containers/`.
        tag: of the image.
        base: the recipe of the base image; None for an image from scratch.
        stand_in_for: repository of the image that it replaces, so that pods use the same name as elsewhere.
        extra_files: inputs outside its folder.
        settings: other inputs.
        program: the Go package to compile first, from the module that the folder's go.mod pins; the Containerfile
            copies it as `program`.
    """

    name: str
    tag: str
    base: Recipe | None = None
    stand_in_for: str = ""
    extra_files: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()
    program: str = ""

    @property
    def reference(self) -> str:
        """The image's name in pods."""
        return f"{self.stand_in_for or f'localhost/kpo-platform/{self.name}'}:{self.tag}"

    @property
    def containerfile(self) -> Path:
        """The image's Containerfile."""
        return _CONTAINERS / self.name / "Containerfile"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the build can read."""
        return (*sorted(self.containerfile.parent.iterdir()), *self.extra_files)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any input of the image."""
        base_digest = self.base.digest if self.base else ""
        settings = (*self.settings, self.program) if self.program else self.settings
        return hash_files(self.files, self.reference, platform.machine(), base_digest, *settings)


DEBIAN = Recipe("debian", "12", settings=SETTINGS)
AIRFLOW = Recipe(
    "airflow", AIRFLOW_VERSION, DEBIAN, extra_files=(_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "airflow.txt")
)
POSTGRES = Recipe("postgres", "15", DEBIAN)
REDIS = Recipe("redis", "7", DEBIAN)
GIT_SERVER = Recipe("git-server", "12", DEBIAN)
XCOM_SIDECAR = Recipe("xcom-sidecar", "12", DEBIAN)
# The originals' names: alpine/git and amazon/aws-cli behind the teams' registry prefix, git-sync with its registry.
AWS_CLI = Recipe("aws-cli", "2.9.19", DEBIAN, stand_in_for="localhost/kpo-platform/amazon/aws-cli")
GIT = Recipe("git", "2.47.2", DEBIAN, stand_in_for="localhost/kpo-platform/alpine/git")
GIT_SYNC = Recipe("git-sync", "v4.4.2", DEBIAN, stand_in_for="registry.k8s.io/git-sync/git-sync")
STATSD_EXPORTER = Recipe("statsd-exporter", "v0.28.0", DEBIAN, program="github.com/prometheus/statsd_exporter")
PROMETHEUS = Recipe("prometheus", "12", DEBIAN)
PRIVATE_GIT = Recipe("private-git", "12", DEBIAN)

AIRFLOW_WITH_S3 = Recipe(
    "airflow-with-s3",
    AIRFLOW_VERSION,
    AIRFLOW,
    extra_files=(_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "remote-logs.txt"),
)

AIRFLOW_WITH_NEWEST_PROVIDER = Recipe(
    "airflow-with-newest-provider",
    AIRFLOW_VERSION,
    AIRFLOW,
    extra_files=(_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "providers.txt"),
)

_ALL = (AIRFLOW, POSTGRES, REDIS, GIT_SERVER, XCOM_SIDECAR, GIT, GIT_SYNC, STATSD_EXPORTER, PROMETHEUS)

RECIPES = {recipe.name: recipe for recipe in _ALL}
"""The images that the cluster requires, by name."""

OPTIONAL_RECIPES = {
    recipe.name: recipe for recipe in (AIRFLOW_WITH_S3, AIRFLOW_WITH_NEWEST_PROVIDER, AWS_CLI, PRIVATE_GIT)
}
"""Images of single test groups and benchmarks, which build and load them on demand."""
