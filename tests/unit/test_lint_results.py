"""platformctl lint: tasks whose result cannot reach Airflow."""

from __future__ import annotations

import json
from pathlib import Path

from unit.support.contracts import CONTRACT, TEAM
from unit.support.platformctl import Platformctl

DAG = """\
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("results", schedule=None, default_args={"team": "alpha", "image": "busybox:1.35"}):
    TeamPodOperator(task_id="whole", xcom=True)
    TeamPodOperator(task_id="cut", xcom="sidecar")
    TeamPodOperator(task_id="other", xcom=True, termination_message_policy="FallbackToLogsOnError")
    mounts = [{"name": "data", "mountPath": "/airflow/xcom"}]
    TeamPodOperator.partial(task_id="mapped", xcom="message").expand(volume_mounts=[[], mounts])
    KubernetesPodOperator(task_id="stock", do_xcom_push=True)
"""

NO_EXEC = """\
The task's result is read with a command in the XCom sidecar, but team 'alpha' has rbac.exec false. Use \
TeamPodOperator with xcom="message" and a supported provider, and without engine="stock", or ask the platform team to \
change the team's values.
"""

TEXT = f"""\
FILE:7: error KPO-POD006 task cut: {NO_EXEC}\
FILE:8: error KPO-POD006 task other: terminationMessagePolicy of container 'base' is 'FallbackToLogsOnError', but the \
task's result requires 'File'. Leave it out, or set xcom="sidecar".
FILE:10: error KPO-POD006 task mapped: A volume is mounted at '/airflow/xcom', where the task writes its result. Mount \
the volume at another path.
FILE:11: error KPO-POD006 task stock: {NO_EXEC}\
"""


def test_results_that_cannot_reach_airflow_are_found(platformctl: Platformctl, tmp_path: Path):
    team = {**TEAM, "rbac": {**TEAM["rbac"], "exec": False}}
    contract, file = tmp_path / "contract.json", tmp_path / "dags" / "alpha" / "results.py"
    contract.write_text(json.dumps({**CONTRACT, "teams": {"alpha": team}}))
    file.parent.mkdir(parents=True)
    file.write_text(DAG)
    result = platformctl("lint", str(tmp_path / "dags"), "--contract", str(contract))
    assert (result.code, result.out) == (1, TEXT.replace("FILE", str(file)))
