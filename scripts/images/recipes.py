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
        shared_files: what it is made of beside the files of its folder.
        settings: whatever else decides what becomes of it.
    """

    name: str
    tag: str
    base: Recipe | None = None
    shared_files: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The name by which pods use the image."""
        return f"localhost/kpo-platform/{self.name}:{self.tag}"

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
        return digest_of_files(self.files, self.reference, platform.machine(), beneath, *self.settings)


DEBIAN = Recipe("debian", "12", settings=SETTINGS)
AIRFLOW = Recipe("airflow", "3.3.2", DEBIAN, (_REQUIREMENTS / "tools.txt", _REQUIREMENTS / "airflow.txt"))
POSTGRES = Recipe("postgres", "15", DEBIAN)
GIT_SERVER = Recipe("git-server", "12", DEBIAN)
XCOM_SIDECAR = Recipe("xcom-sidecar", "12", DEBIAN)

RECIPES = {recipe.name: recipe for recipe in (AIRFLOW, POSTGRES, GIT_SERVER, XCOM_SIDECAR)}
"""The images that the cluster needs, by name."""
