"""What is built: every image's name, the files it is made of, and the digest that changes with them."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from common.files import digest_of_files
from common.paths import REPOSITORY
from images.rootfs import SETTINGS

_CONTAINERS = Path(__file__).parent / "containers"
_REQUIREMENTS = REPOSITORY / "requirements"


@dataclass(frozen=True)
class Recipe:
    """How one image is made.

    Attributes:
        name: of the image, and of its folder under `containers/`.
        tag: of the image.
        base: the image it is built upon; None for one that begins from nothing.
        stands_for: the repository of the image that it stands in for, so that pods name it as they do elsewhere.
        shared_files: what it is made of beside the files of its folder.
        settings: whatever else decides what becomes of it.
        program: the Go package that is compiled beforehand, of the module that the folder's go.mod pins; the
            Containerfile copies it as `program`.
    """

    name: str
    tag: str
    base: Recipe | None = None
    stands_for: str = ""
    shared_files: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()
    program: str = ""

    @property
    def reference(self) -> str:
        """The name by which pods use the image."""
        return f"{self.stands_for or f'localhost/kpo-platform/{self.name}'}:{self.tag}"

    @property
    def containerfile(self) -> Path:
        """The file that says how it is built."""
        return _CONTAINERS / self.name / "Containerfile"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that its build may see: nothing else can have an influence on the image."""
        return (*sorted(self.containerfile.parent.iterdir()), *self.shared_files)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for everything the image is made of."""
        beneath = self.base.digest if self.base else ""
        settings = (*self.settings, self.program) if self.program else self.settings
        return digest_of_files(self.files, self.reference, platform.machine(), beneath, *settings)


DEBIAN = Recipe("debian", "12", settings=SETTINGS)
AIRFLOW = Recipe("airflow", "3.3.2", DEBIAN, shared_files=(_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "airflow.txt"))
POSTGRES = Recipe("postgres", "15", DEBIAN)
REDIS = Recipe("redis", "7", DEBIAN)
GIT_SERVER = Recipe("git-server", "12", DEBIAN)
XCOM_SIDECAR = Recipe("xcom-sidecar", "12", DEBIAN)
# As the field names them: alpine/git and amazon/aws-cli behind the teams' registry prefix, git-sync with its registry.
AWS_CLI = Recipe("aws-cli", "2.9.19", DEBIAN, stands_for="localhost/kpo-platform/amazon/aws-cli")
GIT = Recipe("git", "2.47.2", DEBIAN, stands_for="localhost/kpo-platform/alpine/git")
GIT_SYNC = Recipe("git-sync", "v4.4.2", DEBIAN, stands_for="registry.k8s.io/git-sync/git-sync")
STATSD_EXPORTER = Recipe("statsd-exporter", "v0.28.0", DEBIAN, program="github.com/prometheus/statsd_exporter")
PROMETHEUS = Recipe("prometheus", "12", DEBIAN)
PRIVATE_GIT = Recipe("private-git", "12", DEBIAN)

AIRFLOW_WITH_S3 = Recipe(
    "airflow-with-s3", "3.3.2", AIRFLOW, shared_files=(_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "remote-logs.txt")
)

_ALL = (AIRFLOW, POSTGRES, REDIS, GIT_SERVER, XCOM_SIDECAR, GIT, GIT_SYNC, STATSD_EXPORTER, PROMETHEUS)

RECIPES = {recipe.name: recipe for recipe in _ALL}
"""The images that the cluster needs, by name."""

ON_DEMAND = {recipe.name: recipe for recipe in (AIRFLOW_WITH_S3, AWS_CLI, PRIVATE_GIT)}
"""Those that few groups of tests need, each of which builds and loads them itself."""
