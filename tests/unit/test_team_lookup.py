"""Find the team of a task, and refuse a task that names another team."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator
from kpo_platform.airflow import bundle_lookup
from kpo_platform.airflow.bundle_lookup import DagFolders
from kpo_platform.errors import PodError, TeamError
from unit.support.published_contract import Publish

BETA = {"namespace": "team-beta", "connection": {"id": "k8s_beta", "mode": "inCluster", "via": "api"}}


@pytest.fixture
def bundles(tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish teams alpha and beta; return the folder of Airflow's bundles."""
    publish(beta=BETA)
    monkeypatch.setattr(bundle_lookup, "read_dag_folders", lambda: DagFolders(tmp_path / "bundles"))
    return tmp_path / "bundles"


def create_task(
    file: Path | None = None, default_args: dict[str, Any] | None = None, **arguments: Any
) -> TeamPodOperator:
    with DAG("d", default_args=default_args or {}) as dag:
        dag.fileloc = str(file or "/elsewhere/x.py")
        return TeamPodOperator(**{"task_id": "t", "image": "busybox:1.35", **arguments})


def test_team_comes_from_the_bundle(bundles: Path):
    assert create_task(bundles / "beta" / "tracking_repo" / "x.py").team == "beta"
    assert create_task(bundles / "shared" / "tracking_repo" / "alpha" / "x.py").namespace == "team-alpha"


def test_team_outside_of_bundles_comes_from_arguments(bundles: Path):
    assert create_task(team="beta").team == "beta"
    assert create_task(default_args={"team": "beta"}).team == "beta"


def test_task_without_a_team_is_refused(bundles: Path):
    with pytest.raises(TeamError) as refusal:
        create_task()
    assert str(refusal.value) == (
        "The task has no team. Set team= in the task or in default_args, or move the DAG file into the bundle or "
        "folder of its team. Known teams: alpha, beta."
    )


@pytest.mark.parametrize("team_setting", [{"team": "beta"}, {"default_args": {"team": "beta"}}])
def test_other_team_than_the_owner_is_refused(bundles: Path, team_setting: dict[str, Any]):
    with pytest.raises(PodError) as refusal:
        create_task(bundles / "alpha" / "x.py", **team_setting)
    assert str(refusal.value) == (
        "The task has team 'beta', but its DAG file is in the bundle or folder of team 'alpha'. Leave out "
        "team, or move the DAG file to the folder or bundle of team 'beta'."
    )


@pytest.mark.parametrize(
    ("arguments", "evidence"),
    [
        ({"namespace": "team-beta"}, "namespace is 'team-beta'"),
        ({"pod_override": {"metadata": {"namespace": "team-beta"}}}, "namespace is 'team-beta'"),
        ({"pod_template_dict": {"metadata": {"namespace": "team-beta"}}}, "namespace is 'team-beta'"),
    ],
)
def test_other_teams_namespace_is_refused(bundles: Path, arguments: dict[str, Any], evidence: str):
    with pytest.raises(PodError) as refusal:
        create_task(bundles / "alpha" / "x.py", **arguments)
    assert str(refusal.value) == (
        f"{evidence}, but team 'alpha' has 'team-alpha'. Leave it out, or ask the platform team to change the team's "
        "values."
    )


def test_other_teams_namespace_in_template_file_is_refused(bundles: Path, tmp_path: Path):
    file = tmp_path / "pod.yaml"
    file.write_text("metadata: {namespace: team-beta}\nspec: {containers: [{name: base}]}")
    with pytest.raises(PodError, match=r"^namespace is 'team-beta', but team 'alpha' has 'team-alpha'\. "):
        create_task(bundles / "alpha" / "x.py", pod_template_file=str(file))


def test_rendered_value_of_another_team_is_refused(bundles: Path):
    override = {"metadata": {"namespace": "{{ aim }}", "labels": {"kpo-platform/team": "{{ team }}"}}}
    late = create_task(bundles / "alpha" / "x.py", pod_override=override, kubernetes_conn_id="k8s_{{ team }}")
    late.render_template_fields({"aim": "team-beta", "team": "beta"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(PodError) as refusal:
        late.build_pod_request_obj(dry_run=True)
    ask = "Leave it out, or ask the platform team to change the team's values."
    assert str(refusal.value).splitlines() == [
        "The task uses the connection 'k8s_beta' of team 'beta', but it runs for team 'alpha', which has "
        "'k8s_default'. Leave out kubernetes_conn_id.",
        f"namespace is 'team-beta', but team 'alpha' has 'team-alpha'. {ask}",
        f"The label kpo-platform/team is 'beta', but team 'alpha' has 'alpha'. {ask}",
    ]


def test_other_teams_connection_is_refused_at_parse(bundles: Path):
    with pytest.raises(PodError, match=r"^The task uses the connection 'k8s_beta' of team 'beta'"):
        create_task(team="alpha", kubernetes_conn_id="k8s_beta")
