"""The DAG files of a folder, imported as the dag-processor imports them, but with no database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.importers import get_importer_registry


def dag_files(root: Path) -> list[str]:
    """The files of a folder in which Airflow would look for DAGs, in order."""
    return sorted(get_importer_registry().list_dag_files(root))


def import_file(root: Path, name: str, *, safe_mode: bool) -> Any:
    """Import a file.

    Args:
        root: the folder in which its own modules are looked for.
        name: the file.
        safe_mode: pass over a file in which nothing speaks of a DAG.

    Returns:
        Airflow's result, with DAGs and errors; None for a file that it does not import.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))
    importer = get_importer_registry().get_importer(name)
    return importer and importer.import_file(name, bundle_path=root, safe_mode=safe_mode)
