"""Find the DAG bundle of a file by Airflow's configuration, as the name and relative path that Airflow stores.

A task's constructor knows only the path of its DAG's file. Airflow's own look-up (3.3, dag_processing/bundles/
manager.py) creates every bundle, which may read a connection, so this one reads the configuration only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from airflow.configuration import conf

UNKNOWN_BUNDLE = ""
"""The bundle of files in the DAGs folder while no bundle contains that folder, as for ``platformctl lint``."""

_LOCAL = ".LocalDagBundle"
_LOCAL_ARGUMENT = "path"
_GIT_ARGUMENT = "tracking_ref"
"""The required argument of GitDagBundle, which keeps its files in clones in its folder."""


@dataclass(frozen=True)
class DagFolders:
    """Folders that contain DAG files.

    Attributes:
        storage: the folder of Airflow's bundles, with a subfolder for each that is not local.
        folders: other folders and the names of their bundles.
        git: bundle in ``storage`` to the folder of the DAGs in its repository, relative to the repository.
    """

    storage: PurePath
    folders: tuple[tuple[PurePath, str], ...] = ()
    git: Mapping[str, PurePath] = field(default_factory=dict)

    def find_bundle(self, file: PurePath) -> tuple[str | None, str | None]:
        """Find the bundle of a file and the file's path in it; twice None if no folder contains the file."""
        candidates = [(self.storage, None), *self.folders]
        matches = [(folder, bundle) for folder, bundle in candidates if folder in file.parents]
        if not matches:
            return None, None
        folder, bundle = max(matches, key=lambda match: len(match[0].parts))
        path = file.relative_to(folder)
        return (bundle, str(path)) if bundle is not None else self._split_stored(path)

    def _split_stored(self, path: PurePath) -> tuple[str | None, str | None]:
        """Split a path in the folder of bundles into the bundle and the path in it."""
        bundle, *parts = path.parts
        if bundle not in self.git:
            return bundle, str(PurePath(*parts))
        # The clone that follows the ref, or that of one version: BUNDLE/tracking_repo or BUNDLE/versions/COMMIT.
        clone = PurePath(*parts[2 if parts[:1] == ["versions"] else 1 :])
        folder = self.git[bundle]
        return bundle, str(clone.relative_to(folder) if clone.is_relative_to(folder) else clone)


def find_bundle(file: str) -> tuple[str | None, str | None]:
    """Find the bundle of a DAG file and the file's path in it; twice None if Airflow does not load DAGs from there."""
    return read_dag_folders().find_bundle(PurePath(file))


@cache
def read_dag_folders() -> DagFolders:
    """Read the folders of DAG files from Airflow's configuration."""
    from airflow.dag_processing.bundles.base import get_bundle_storage_root_path

    storage: Path = get_bundle_storage_root_path()  # type: ignore[no-untyped-call]
    dags_folder = PurePath(Path(str(conf.get("core", "dags_folder"))).expanduser())
    bundles: Any = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=None) or []
    folders: dict[PurePath, str] = {}
    git: dict[str, PurePath] = {}
    for bundle in bundles:
        arguments = bundle.get("kwargs") or {}
        if _LOCAL_ARGUMENT in arguments or bundle["classpath"].endswith(_LOCAL):
            folders.setdefault(PurePath(arguments.get(_LOCAL_ARGUMENT) or dags_folder), bundle["name"])
        elif _GIT_ARGUMENT in arguments:
            git[bundle["name"]] = PurePath(arguments.get("subdir") or ".")
    folders.setdefault(dags_folder, UNKNOWN_BUNDLE)
    return DagFolders(storage, tuple(folders.items()), git)
