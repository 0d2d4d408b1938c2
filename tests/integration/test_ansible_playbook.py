"""The playbook run directly with ansible-playbook: the same writes as platformctl bootstrap, and no secret printed."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kpo_platform.bootstrap.ansible import runner
from unit.support.platformctl import Cluster, environment

RunPlaybook = Callable[..., subprocess.CompletedProcess[str]]
PLAYBOOK = Path(runner.__file__).parents[1] / "playbook" / "bootstrap.yml"
PASSWORD = "canary-77c1-password"
SECRET = "/api/v1/namespaces/team-alpha/secrets/regcred"
RECAP = re.compile(r"ok=\d+ +changed=\d+|failed=\d+")


@pytest.fixture
def run_playbook(cluster: Cluster, tmp_path: Path) -> RunPlaybook:
    """Run ansible-playbook from another folder, as a user does."""
    login = {"auths": {"registry.test": {"username": "robot", "password": PASSWORD}}}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(login))
    variables = {
        "kpo_kubeconfig": cluster.options[1],
        "kpo_airflow_url": cluster.server.url,
        "kpo_registry_config": str(config),
    }
    options = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    env = {**environment(), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = [Path(sys.executable).parent / "ansible-playbook", PLAYBOOK, *options, *more]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    return run


def test_playbook_has_two_tasks_and_gathers_no_facts():
    """A task for each object would take a second each, and so would facts that are not used."""
    (play,) = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    tasks = [sorted(task.keys() - {"name"}) for task in play["tasks"]]
    assert (play["gather_facts"], tasks) == (False, [["kpo_objects"], ["kpo_connections"]])


def read_recap(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Read the numbers of tasks that were ok, changed and failed."""
    return RECAP.findall(result.stdout.splitlines()[-2])


def test_first_run_creates_everything_and_second_run_nothing(run_playbook: RunPlaybook, cluster: Cluster):
    first = run_playbook("-vvv")
    assert (first.returncode, read_recap(first)) == (0, ["ok=2    changed=2", "failed=0"]), first.stdout + first.stderr
    secret = json.loads(base64.b64decode(cluster.platform.objects[SECRET]["data"][".dockerconfigjson"]))
    assert base64.b64decode(secret["auths"]["registry.test"]["auth"]).decode() == f"robot:{PASSWORD}"
    assert list(cluster.platform.connections) == ["k8s_default"]
    assert PASSWORD not in first.stdout + first.stderr
    assert cluster.platform.writes == 4
    second = run_playbook()
    assert (second.returncode, read_recap(second)) == (0, ["ok=2    changed=0", "failed=0"]), second.stdout
    assert cluster.platform.writes == 4
    assert cluster.platform.lease is None


def test_check_mode_prints_the_plan_and_writes_nothing(run_playbook: RunPlaybook, cluster: Cluster):
    result = run_playbook("--check", "-v")
    assert (result.returncode, read_recap(result)) == (0, ["ok=2    changed=2", "failed=0"]), (
        result.stdout + result.stderr
    )
    assert "create PersistentVolumeClaim team-beta/data: 1Gi, ReadWriteOnce, class local (the default)" in result.stdout
    assert cluster.platform.writes == 0


def test_extra_variable_selects_one_team(run_playbook: RunPlaybook, cluster: Cluster):
    result = run_playbook("-i", "localhost,", "-e", "kpo_teams=beta")
    assert (result.returncode, cluster.platform.writes) == (0, 2), result.stdout + result.stderr
    assert SECRET not in cluster.platform.objects


def test_missing_namespace_fails_after_all_other_writes(run_playbook: RunPlaybook, cluster: Cluster):
    del cluster.platform.objects["/api/v1/namespaces/team-beta"]
    result = run_playbook()
    assert (result.returncode, read_recap(result)) == (2, ["ok=1    changed=1", "failed=1"]), (
        result.stdout + result.stderr
    )
    reason = "the namespace of team beta does not exist. Run helm upgrade to create it"
    assert f"blocked Namespace team-beta: {reason}" in result.stdout + result.stderr
    assert (SECRET in cluster.platform.objects, list(cluster.platform.connections)) == (True, ["k8s_default"])


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_volume_without_storage_class_fails_before_any_write(
    run_playbook: RunPlaybook, cluster: Cluster, more: tuple[str, ...]
):
    cluster.platform.objects["/apis/storage.k8s.io/v1/storageclasses/local"]["metadata"]["annotations"] = {}
    result = run_playbook(*more)
    assert (result.returncode, read_recap(result)) == (2, ["ok=0    changed=0", "failed=1"]), (
        result.stdout + result.stderr
    )
    assert (
        "cannot change to match the contract. Correct the volume's values and run helm upgrade. blocked "
        "PersistentVolumeClaim team-alpha/data: the cluster has no default storage class. Set storageClass of the "
        "volume. blocked PersistentVolumeClaim team-beta/data: "
    ) in result.stdout + result.stderr
    assert (cluster.platform.writes, cluster.platform.lease) == (0, None)


def test_missing_right_fails_before_any_write(run_playbook: RunPlaybook, cluster: Cluster):
    cluster.platform.refused.add("/api/v1/namespaces/airflow/secrets/airflow-admin")
    result = run_playbook()
    assert (result.returncode, cluster.platform.writes) == (2, 0)
    assert "Cannot get secrets/airflow-admin in namespace airflow: " in result.stdout + result.stderr
