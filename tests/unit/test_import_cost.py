"""The modules that an import of the package loads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unit.support.http_server import serving
from unit.support.new_process import run_script
from unit.support.pod_server import Pods
from unit.support.published_contract import Publish


def test_package_import_loads_neither_airflow_nor_kubernetes():
    script = "import sys, kpo_platform; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])"
    assert run_script(script) == "[]\n"


@pytest.mark.parametrize("name", ["contract", "errors", "testing"])
def test_public_module_loads_neither_airflow_nor_kubernetes(name: str):
    script = f"import sys, kpo_platform.{name}; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])"
    assert run_script(script) == "[]\n"


TASK = """
import sys
from types import SimpleNamespace
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

def list_packages():
    return {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names

stock_packages = list_packages()
from kpo_platform import TeamPodOperator
task = TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", deferrable=False)
names = {"id": "i", "dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}
more = {"try_number": 1, "max_tries": 0, "context_carrier": None, "xcom_push": lambda **_: None}
ti = SimpleNamespace(task=task, **names, **more)
task.execute({"task": task, "ti": ti, "run_id": "r", "dag": SimpleNamespace(), "task_reschedule_count": 0})
text_unidecode = {"text_unidecode"}  # the stock operator's library for slugs may load it on first use
print(sorted(list_packages() - stock_packages - text_unidecode))
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("kpo_platform.")}))
"""


def test_task_loads_no_other_packages_than_the_stock_operator(tmp_path: Path, publish: Publish):
    publish()
    pods = Pods()
    with serving(pods) as server:
        extra = {"kube_config": Path(server.kubeconfig(tmp_path)).read_text()}
        connection = json.dumps({"conn_type": "kubernetes", "extra": extra})
        contract = os.environ["KPO_PLATFORM_CONTRACT"]
        lines = run_script(TASK, AIRFLOW_CONN_K8S_DEFAULT=connection, KPO_PLATFORM_CONTRACT=contract).splitlines()
    assert (len(pods.created), pods.pod) == (1, None)
    assert lines[-2:] == ["[]", "airflow contract diagnosis errors finding pod release"]
