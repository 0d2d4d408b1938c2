"""What all tests share: Airflow keeps its files away from the user's home, one folder for each process of pytest."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "AIRFLOW_HOME" not in os.environ:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="kpo-platform-airflow-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # two workers must not write one airflow.cfg
    home = Path(os.environ["AIRFLOW_HOME"], worker)
    home.mkdir(exist_ok=True)
    os.environ["AIRFLOW_HOME"] = str(home)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
