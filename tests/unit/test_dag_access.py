"""The access of a team's role to the team's DAGs."""

from __future__ import annotations

from airflow.configuration import conf
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from kpo_platform.airflow.policies import cluster_policy
from unit.support.published_contract import Publish


def build_dag(folder: str) -> DAG:
    """Build a DAG whose file is in this folder of the DAGs folder."""
    dag = DAG("nightly", schedule=None)
    dag.fileloc = f"{conf.get('core', 'dags_folder')}/{folder}/nightly.py"
    return dag


def test_team_role_is_added_to_the_dags_access_control(publish: Publish):
    publish(beta={"role": ""})
    own, shared, roleless = build_dag("alpha"), build_dag("alpha"), build_dag("beta")
    shared.access_control = {"Auditor": {"DAGs": {"can_read"}}}
    for dag in (own, shared, roleless):
        cluster_policy.dag_policy(dag)
    team_access = {"team-alpha": {"DAGs": {"can_read", "can_edit", "can_delete"}}}
    assert own.access_control == team_access
    assert shared.access_control == {"Auditor": {"DAGs": {"can_read"}}, **team_access}
    assert roleless.access_control is None


def test_dag_without_owner_keeps_its_access_control(publish: Publish):
    publish()
    dag = build_dag("unknown")
    cluster_policy.dag_policy(dag)
    assert dag.access_control is None


def test_access_control_is_serialized_identically_each_time(publish: Publish):
    publish()
    serialized = []
    for _ in range(2):
        dag = build_dag("alpha")
        cluster_policy.dag_policy(dag)
        serialized.append(str(DagSerialization.to_dict(dag)["dag"]["access_control"]))
    assert serialized[0] == serialized[1]
    assert "['can_delete', 'can_edit', 'can_read']" in serialized[0]
