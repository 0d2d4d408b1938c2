"""List and import the DAG files of a folder as the dag-processor does, but without a database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.importers import get_importer_registry


def list_dag_files(root: Path) -> list[str]:
    """List the files of a folder that Airflow would read, sorted."""
    return sorted(get_importer_registry().list_dag_files(root))


def import_file(root: Path, name: str, *, safe_mode: bool) -> Any:
    """Import a DAG file.

    Args:
        root: the folder from which the file imports its own modules.
        name: the file.
        safe_mode: skip a file that does not mention DAGs.

    Returns:
        Airflow's result with DAGs and errors; None for a file that Airflow does not import.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))
    importer = get_importer_registry().get_importer(name)
    return importer and importer.import_file(name, bundle_path=root, safe_mode=safe_mode)
