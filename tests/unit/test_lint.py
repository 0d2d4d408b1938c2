"""platformctl lint: findings with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.finding import RULES
from unit.support.contracts import CONTRACT
from unit.support.platformctl import Platformctl

DAG = """\
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator; from kubernetes.client import models as k8s

with DAG("bad", schedule=None):
    a = TeamPodOperator(
        task_id="a",
        image="busybox",
        resources={"cpu": 1},
        delete_succeeded_pods=True,
        is_delete_operator_pod=True,
        labels=["x"],
        imgae="x",
        env_vars={"DB_PASSWORD": "hunter2hunter2"},
        xcom_push_kpo_executor_output=True,
    )
    b = TeamPodOperator(task_id="b", image="registry.test/b:1", team="beta")
    c = TeamPodOperator(task_id="c", image="registry.test/c:1", size="smal")
    d = TeamPodOperator(task_id="d", image="registry.test/d:1", namespace="other", size="large")
    e = KubernetesPodOperator(task_id="e", image="registry.test/e", namespace="elsewhere")
    f = TeamPodOperator.partial(task_id="f").expand(image=["registry.test/f:1", "registry.test/f:latest"])
    nfs = [{"name": "n", "nfs": {"server": "s", "path": "/"}}]
    g = TeamPodOperator(task_id="g", image="registry.test/g:1", labels={"stage": None}, volumes=nfs)
    h = TeamPodOperator(
        task_id="h",
        image="registry.test/h h:1",
        container_resources=k8s.V1ResourceRequirements(limits={"memory": "1MB"}),
        volume_mounts=[{"name": "dta", "mountPath": "/d"}],
    )
    i = TeamPodOperator(task_id="i")
    a >> b >> [c, d] >> e >> f >> g >> h >> i
"""

TEXT = """\
FILE:8: error KPO-IMG001 task a: The image 'busybox' of container 'base' has no fixed version, which team 'alpha' \
requires. Use a tag other than latest, such as name:1.2.
FILE:8: error KPO-IMG002 task a: The image 'busybox' of container 'base' is not allowed for team 'alpha', \
which allows registry.test/*. Use an allowed image, or ask the platform team to add this one to images.allow.
FILE:9: error KPO-ARG001 task a: resources has no effect on a pod. Use size, or container_resources={'requests': {…}, \
'limits': {…}}.
FILE:10: error KPO-ARG001 task a: delete_succeeded_pods has no effect on a pod. Use \
on_finish_action='delete_succeeded_pod'.
FILE:11: error KPO-ARG001 task a: is_delete_operator_pod has no effect on a pod. Use on_finish_action='delete_pod' or \
'keep_pod'.
FILE:12: error KPO-ARG001 task a: labels is a list, but a dictionary is required. Write labels={'key': 'value'}.
FILE:13: error KPO-ARG001 task a: imgae is not an argument of TeamPodOperator. Did you mean image?
FILE:14: error KPO-SEC003 task a: The variable DB_PASSWORD of container 'base' looks like a credential. Put it into a \
Secret in the team's namespace and use it with env_from or secrets. Here, everyone who may see pods or DAGs can read \
it.
FILE:15: error KPO-ARG001 task a: xcom_push_kpo_executor_output has no effect on a pod. Use xcom=True.
FILE:17: error KPO-TEAM002 task b: The task has team 'beta', but its DAG file is in the bundle or folder of team \
'alpha'. Leave out team, or move the DAG file to the folder or bundle of team 'beta'.
FILE:18: error KPO-TEAM001 task c: size 'smal' is not in the contract. Did you mean 'small'?
FILE:19: error KPO-POD001 task d: namespace is 'other', but team 'alpha' has 'team-alpha'. Leave it out, or ask the \
platform team to change the team's values.
FILE:19: error KPO-POD003 task d: The pod requests 1Gi of limits.memory, but the quota of team 'alpha' for all pods is \
512Mi, so the pod cannot start. Use a smaller size or smaller container_resources, or ask the platform team for a \
larger quota.
FILE:20: error KPO-POD001 task e: namespace is 'elsewhere', but team 'alpha' has 'team-alpha'. Leave it out, or ask \
the platform team to change the team's values.
FILE:20: error KPO-IMG001 task e: The image 'registry.test/e' of container 'base' has no fixed version, which team \
'alpha' requires. Use a tag other than latest, such as name:1.2.
FILE:21: error KPO-IMG001 task f: The image 'registry.test/f:latest' of container 'base' has no fixed version, which \
team 'alpha' requires. Use a tag other than latest, such as name:1.2.
FILE:23: error KPO-POD002 task g: The label stage is missing, but the platform requires it in every pod. Set it in \
labels, or ask the platform team to set it for team 'alpha'.
FILE:23: error KPO-SEC002 task g: Volume 'n' mounts NFS directly, which the Pod Security level restricted of team \
'alpha' does not allow. Use a PersistentVolumeClaim: ask the platform team to add it to the team's volumes.
FILE:26: error KPO-IMG003 task h: The image 'registry.test/h h:1' of container 'base' is not a valid image name. Write \
it as registry.example.com/team/name:1.2, with the name in lower case.
FILE:27: error KPO-POD004 task h: Container 'base' requests '1MB' of memory, which is not a Kubernetes quantity. Did \
you mean '1M'?
FILE:28: error KPO-POD005 task h: Container 'base' mounts the volume 'dta', which the pod does not have. Add it to \
volumes, or mount one of data, work.
FILE:30: error KPO-IMG003 task i: The pod has no image. Set image='name:tag', or use a template whose container 'base' \
has an image.
BROKEN:3: error KPO-DAG001 file broken.py: Airflow cannot load it (ModuleNotFoundError: No module named 'nowhere'). \
Correct this error, and lint again.
"""


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A DAGs folder with a contract beside it; team alpha has a quota and an image list."""
    alpha = {
        **CONTRACT["teams"]["alpha"],
        "images": {"registryPrefix": "", "allow": ["registry.test/*"], "pin": "tag"},
        "quota": {"limits.memory": "512Mi"},
        "labels": {"stage": "test"},
    }
    teams = {"alpha": alpha, "beta": {**alpha, "namespace": "team-beta"}}
    (tmp_path / "contract.json").write_text(
        json.dumps({**CONTRACT, "teams": teams, "labelPolicy": {"stage": "required"}})
    )
    (tmp_path / "dags" / "alpha").mkdir(parents=True)
    return tmp_path / "dags"


def words(dags: Path, *more: str) -> tuple[str, ...]:
    return ("lint", str(dags), "--contract", str(dags.parent / "contract.json"), *more)


def test_lint_finds_all_problems_with_file_and_line(platformctl: Platformctl, dags: Path):
    bad, broken = dags / "alpha" / "bad.py", dags / "alpha" / "broken.py"
    bad.write_text(DAG)
    broken.write_text("from airflow.sdk import DAG\n\nimport nowhere\n")
    result = platformctl(*words(dags))
    expected = TEXT.replace("FILE", str(bad)).replace("BROKEN", str(broken))
    assert (result.code, result.out) == (1, expected)
    assert result.err.splitlines()[-1] == "23 findings in 2 DAG files."


STOCK = """\
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task_group
from kpo_platform import TeamPodOperator

with DAG("stock", schedule=None):
    a = TeamPodOperator(
        task_id="a",
        retries="three",
        image="registry.test/a",
    )
    b = KubernetesPodOperator(task_id="b", image="registry.test/b:1", retries="three")
    c = TeamPodOperator(task_id="c c", image="registry.test/c:1")
    d = TeamPodOperator(task_id="d", image="registry.test/d:1", pool_slots=0)

    @task_group
    def inner():
        return TeamPodOperator(task_id="e", image=7, trigger_rule="x")

    f = TeamPodOperator(task_id="d", image="registry.test/f:1")
    a >> [b, c] >> d >> inner() >> f
    mapped = TeamPodOperator.partial(task_id="m", retries="three", imgae="x")
    mapped.expand(image=["registry.test/m:1", "registry.test/m"])

with DAG("defaults", schedule=None, default_args={"retries": "three"}):
    TeamPodOperator(task_id="g", image="registry.test/g:1")
    TeamPodOperator(task_id="h", image="registry.test/h", retries=1)
"""

STOCK_TEXT = """\
FILE:8: error KPO-ARG001 task a: 'retries' type must be int, not str
FILE:9: error KPO-IMG001 task a: The image 'registry.test/a' of container 'base' has no fixed version, which team \
'alpha' requires. Use a tag other than latest, such as name:1.2.
FILE:11: error KPO-ARG001 task b: 'retries' type must be int, not str
FILE:12: error KPO-ARG001 task c c: The key 'c c' has to be made of alphanumeric characters, dashes, dots, and \
underscores exclusively
FILE:13: error KPO-ARG001 task d: pool slots for d in dag stock cannot be less than 1
FILE:17: error KPO-ARG001 task e: image is a number, but a string is required. Write image='…'.
FILE:17: error KPO-ARG001 task inner.e: The trigger_rule must be one of ['all_success', 'all_failed', 'all_done', \
'all_done_min_one_success', 'all_done_setup_success', 'one_success', 'one_failed', 'one_done', 'none_failed', \
'none_skipped', 'always', 'none_failed_min_one_success', 'all_skipped'],'stock.e'; received 'x'.
FILE:19: error KPO-ARG001 task d: Task id 'd' has already been added to the Dag
FILE:21: error KPO-ARG001 task m: imgae is not an argument of TeamPodOperator. Did you mean image?
FILE:21: error KPO-ARG001 task m: 'retries' type must be int, not str
FILE:21: error KPO-IMG001 task m: The image 'registry.test/m' of container 'base' has no fixed version, which team \
'alpha' requires. Use a tag other than latest, such as name:1.2.
FILE:25: error KPO-ARG001 task g: 'retries' type must be int, not str
FILE:26: error KPO-IMG001 task h: The image 'registry.test/h' of container 'base' has no fixed version, which team \
'alpha' requires. Use a tag other than latest, such as name:1.2.
"""


def test_task_refused_by_airflow_does_not_stop_the_lint_of_its_file(
    platformctl: Platformctl, dags: Path, offline_in_process: None
):
    file = dags / "alpha" / "stock.py"
    file.write_text(STOCK)
    result = platformctl(*words(dags))
    assert (result.code, result.out) == (1, STOCK_TEXT.replace("FILE", str(file)))


@pytest.fixture
def one_finding(dags: Path) -> Path:
    """A DAG with a single finding, in line 5."""
    file = dags / "alpha" / "one.py"
    head = "from airflow.sdk import DAG\nfrom kpo_platform import TeamPodOperator\nwith DAG('one', schedule=None):\n"
    file.write_text(f"{head}    TeamPodOperator(task_id='t',\n        image='registry.test/x')\n")
    return file


EVIDENCE = "The image 'registry.test/x' of container 'base' has no fixed version, which team 'alpha' requires"
FIX = "Use a tag other than latest, such as name:1.2."


def test_json_output_has_all_fields_of_findings(
    platformctl: Platformctl, dags: Path, one_finding: Path, offline_in_process: None
):
    result = platformctl(*words(dags, "-o", "json"))
    expected = {
        "file": str(one_finding),
        "line": 5,
        "code": "KPO-IMG001",
        "severity": "error",
        "object": {"kind": "task", "name": "t", "namespace": ""},
        "cause": "An image has a fixed tag or digest, as the team's images.pin requires.",
        "evidence": [EVIDENCE],
        "fix": {"text": FIX, "commands": [], "patch": None, "who": ""},
    }
    assert (result.code, json.loads(result.out)) == (1, {"findings": [expected]})


def test_sarif_output_has_rules_and_locations(
    platformctl: Platformctl, dags: Path, one_finding: Path, offline_in_process: None
):
    result = platformctl(*words(dags, "-o", "sarif"))
    rules: list[Any] = [
        {"id": rule.code, "name": name, "shortDescription": {"text": rule.requirement}} for name, rule in RULES.items()
    ]
    location = {"artifactLocation": {"uri": str(one_finding)}, "region": {"startLine": 5}}
    sarif_result = {
        "ruleId": "KPO-IMG001",
        "level": "error",
        "message": {"text": f"task t: {EVIDENCE}. {FIX}"},
        "locations": [{"physicalLocation": location}],
    }
    assert json.loads(result.out) == {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "platformctl lint", "rules": rules}}, "results": [sarif_result]}],
    }


def test_rule_codes_are_stable():
    assert {name: rule.code for name, rule in RULES.items()} == {
        "import": "KPO-DAG001",
        "name": "KPO-TEAM001",
        "team": "KPO-TEAM002",
        "argument": "KPO-ARG001",
        "locked": "KPO-POD001",
        "label": "KPO-POD002",
        "quota": "KPO-POD003",
        "form": "KPO-POD004",
        "missing": "KPO-POD005",
        "result": "KPO-POD006",
        "image-pin": "KPO-IMG001",
        "image-allow": "KPO-IMG002",
        "image": "KPO-IMG003",
        "security": "KPO-SEC001",
        "nfs": "KPO-SEC002",
        "credential": "KPO-SEC003",
        "trigger": "KPO-TRG001",
    }


def test_lint_with_team_option_assigns_all_dags_to_the_team(
    platformctl: Platformctl, dags: Path, offline_in_process: None
):
    (dags / "one.py").write_text(
        "from airflow.sdk import DAG\nfrom kpo_platform import TeamPodOperator\n"
        "with DAG('mine', schedule=None):\n    TeamPodOperator(task_id='t', image='registry.test/x:1')\n"
    )
    result = platformctl(*words(dags, "--team", "alpha"))
    assert (result.code, result.out) == (0, "")
    result = platformctl(*words(dags))
    assert (result.code, result.out.partition(": error ")[2]) == (
        1,
        "KPO-TEAM001 task t: The task has no team. Set team= in the task or in default_args, or move the DAG file "
        "into the bundle or folder of its team. Known teams: alpha, beta.\n",
    )


def test_mapped_task_of_a_dag_without_owner_is_linted(platformctl: Platformctl, dags: Path, offline_in_process: None):
    (dags / "one.py").write_text(
        "from airflow.sdk import DAG\nfrom kpo_platform import TeamPodOperator\n"
        "with DAG('mine', schedule=None):\n"
        "    TeamPodOperator.partial(task_id='t', team='alpha').expand(image=['registry.test/x:1', 'busybox'])\n"
    )
    result = platformctl(*words(dags))
    assert (result.code, [line.split()[2] for line in result.out.splitlines()]) == (1, ["KPO-IMG001", "KPO-IMG002"])


def test_lint_without_a_contract_exits_with_3(
    platformctl: Platformctl, dags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("KPO_PLATFORM_CONTRACT", raising=False)
    result = platformctl("lint", str(dags))
    assert (result.code, result.out, result.err) == (
        3,
        "",
        "Error: Cannot find a contract file. Save the cluster's contract with platformctl contract pull, "
        "or name a file with --contract or KPO_PLATFORM_CONTRACT.\n",
    )
