"""Volumes that a node cannot attach or mount."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Need
from unit.support.diagnosis import NAMESPACE, answer, build_event, build_pod, find_causes, wait_for

NOW = datetime(2026, 11, 30, 10, 5, tzinfo=UTC)
CREATED, YOUNG = "2026-11-30T10:00:00Z", "2026-11-30T10:04:57Z"
SPEC = {"volumes": [{"name": "input", "persistentVolumeClaim": {"claimName": "raw"}}]}
CLAIMS = Need("PersistentVolumeClaim", NAMESPACE)
ABOUT = f"PersistentVolumeClaim {NAMESPACE}/raw"
CREATING = {"startTime": CREATED, "containerStatuses": [wait_for("ContainerCreating")]}


def build_facts(spec: dict[str, Any], *events: Any, created: str = CREATED, **status: Any) -> Facts:
    pod = build_pod({"nodeName": "node-1", **spec}, **{**CREATING, **status})
    pod["metadata"]["creationTimestamp"] = created
    return Facts(pod=pod, events=events, now=NOW)


def mount(message: str, reason: str = "FailedMount", spec: dict[str, Any] | None = None, **fields: Any) -> Facts:
    return build_facts(SPEC if spec is None else spec, build_event(reason, message), **fields)


SECRET = {"volumes": [{"name": "creds", "secret": {"secretName": "login", "items": [{"key": "user", "path": "u"}]}}]}


def test_missing_secret_of_a_volume_can_be_created_with_its_key():
    facts = mount('MountVolume.SetUp failed for volume "creds" : secret "login" not found', spec=SECRET)
    (cause,) = diagnose(facts).causes
    assert (cause.finding.code, cause.outlook, str(cause.finding.object)) == (
        "KPO-VOL117",
        "grace",
        "Secret team-alpha/login",
    )
    assert str(cause) == (
        'Secret "login" does not exist in team-alpha (FailedMount). Correct the volume "creds" in volumes, or '
        "create it (type the value of the key user without Enter, and then Ctrl-D twice): "
        "kubectl -n team-alpha create secret generic login "
        "--from-file=user=/dev/stdin [KPO-VOL117: docs/troubleshooting.md#kpo-vol117]"
    )


def test_all_missing_sources_of_a_projected_volume_are_named():
    facts = mount('MountVolume.SetUp failed for volume "all" : [configmap "a" not found, secret "b" not found]')
    assert [cause[2] for cause in find_causes(facts)] == ["ConfigMap team-alpha/a", "Secret team-alpha/b"]


@pytest.mark.parametrize(
    ("source", "message", "about"),
    [
        (SECRET["volumes"][0], "references non-existent secret key: user", "Secret team-alpha/login"),
        (
            {"name": "creds", "configMap": {"name": "rules", "items": [{"key": "user", "path": "u"}]}},
            "configmap references non-existent config key: user",
            "ConfigMap team-alpha/rules",
        ),
    ],
)
def test_missing_key_of_a_volume_names_object_and_key(source: dict[str, Any], message: str, about: str):
    facts = mount(f'MountVolume.SetUp failed for volume "creds" : {message}', spec={"volumes": [source]})
    ((code, outlook, found, text),) = find_causes(facts)
    assert (code, outlook, found) == ("KPO-VOL118", "grace", about)
    assert text.endswith('in team-alpha has no key "user"')


NFS = 'MountVolume.SetUp failed for volume "pv-1" : mount failed: exit status 32\nMounting command: mount\nOutput: '
CSI = 'MountVolume.MountDevice failed for volume "pv-1" : rpc error: code = '


@pytest.mark.parametrize(
    ("message", "code", "outlook"),
    [
        (f"{NFS}mount.nfs: Connection timed out", "KPO-VOL127", "waits"),
        (f"{NFS}mount.nfs: Failed to resolve server nfs: Name or service not known", "KPO-VOL127", "waits"),
        (f"{NFS}mount.nfs: access denied by server while mounting nfs:/data", "KPO-VOL122", "grace"),
        (
            f"{NFS}mount.nfs: mounting nfs:/data failed, reason given by server: No such file or directory",
            "KPO-VOL123",
            "grace",
        ),
        (
            f"{NFS}mount: bad option; for several filesystems you might need a /sbin/mount.nfs helper program",
            "KPO-VOL121",
            "waits",
        ),
        (f"{NFS}mount: wrong fs type, bad superblock on /dev/sdb", "KPO-VOL126", "grace"),
        (f"{CSI}DeadlineExceeded desc = context deadline exceeded", "KPO-VOL127", "waits"),
        (f"{CSI}NotFound desc = volume vol-1 not found", "KPO-VOL123", "grace"),
        (f"{CSI}PermissionDenied desc = no access", "KPO-VOL122", "grace"),
        (
            'MountVolume.MountDevice failed for volume "pv-1" : kubernetes.io/csi: attacher.MountDevice failed to '
            "create newCsiDriverClient: driver name x not found in the list of registered CSI drivers",
            "KPO-VOL121",
            "waits",
        ),
        ('MountVolume.SetUp failed for volume "pv-1" : mkdir x: no space left on device', "KPO-VOL124", "waits"),
        ('MountVolume.SetUp failed for volume "pv-1" : something new', "KPO-VOL100", "waits"),
    ],
)
def test_failed_mount_of_a_claim_is_told_by_its_message(message: str, code: str, outlook: str):
    ((found, found_outlook, about, text),) = find_causes(mount(message))
    assert (found, found_outlook, about) == (code, outlook, ABOUT)
    assert 'the volume of the claim "raw"' in f"{text[0].lower()}{text[1:]}"


@pytest.mark.parametrize(
    "message",
    [
        'Multi-Attach error for volume "pv-1" Volume is already used by pod(s) train, eval',
        'Waiting for detach for volume "pv-1" Volume is already used by pod(s) train, eval and 2 pod(s) in different '
        "namespaces",
    ],
)
def test_volume_of_another_node_names_the_pods_that_use_it(message: str):
    assert find_causes(mount(message, "FailedAttachVolume")) == [
        (
            "KPO-VOL120",
            "waits",
            ABOUT,
            'The volume of the claim "raw" is in use on another node or by another pod: pod train, eval',
        )
    ]


@pytest.mark.parametrize("end", ["", ", it's a file", ", unable to determine its type: path does not exist"])
def test_missing_host_path_can_be_created_by_the_node(end: str):
    volume = {"name": "cache", "hostPath": {"path": "/data/x", "type": "Directory"}}
    mark = "," if "unable" in end else ":"
    text = f"hostPath type check failed{mark} /data/x is not a directory{end}"
    facts = mount(f'MountVolume.SetUp failed for volume "cache" : {text}', spec={"volumes": [volume]})
    (cause,) = diagnose(facts).causes
    patched = {"name": "cache", "hostPath": {"path": "/data/x", "type": "DirectoryOrCreate"}}
    assert (cause.finding.code, cause.finding.fix.patch) == ("KPO-VOL119", {"spec": {"volumes": [patched]}})


def test_event_about_all_volumes_is_vague_and_left_out_beside_another():
    text = (
        "Unable to attach or mount volumes: unmounted volumes=[input], unattached volumes=[]: context deadline exceeded"
    )
    ((code, outlook, _, cause),) = find_causes(mount(text))
    assert (code, outlook) == ("KPO-VOL100", "waits")
    assert cause.startswith("The node has not mounted the volumes input yet")
    events = [build_event("FailedMount", text), build_event("FailedMount", f"{NFS}mount.nfs: Connection timed out")]
    facts = build_facts(SPEC, *events)
    assert [cause[0] for cause in find_causes(facts)] == ["KPO-VOL127"]


def test_missing_claim_of_a_pod_that_names_its_node_is_found():
    text = (
        "Unable to attach or mount volumes: unmounted volumes=[input], unattached volumes=[], failed to process "
        "volumes=[input]: error processing PVC team-alpha/raw: failed to fetch PVC from API server: "
        'persistentvolumeclaims "raw" not found'
    )
    assert [cause[:3] for cause in find_causes(mount(text), {CLAIMS: answer()})] == [("KPO-VOL101", "grace", ABOUT)]


def test_secret_that_was_created_meanwhile_is_waited_for():
    facts = mount('MountVolume.SetUp failed for volume "creds" : secret "login" not found', spec=SECRET)
    answers = {Need("Secret", NAMESPACE, "login"): answer({"metadata": {"name": "login"}})}
    assert [cause[:2] for cause in find_causes(facts, answers)] == [("KPO-VOL117", "waits")]


RUNNING = {"containerStatuses": [{"name": "base", "state": {"running": {"startedAt": CREATED}}}]}
OLD = 'MountVolume.SetUp failed for volume "creds" : secret "login" not found'
READY = {"type": "PodReadyToStartContainers", "status": "True"}


@pytest.mark.parametrize(
    "facts",
    [
        mount(OLD, phase="Running", **RUNNING),
        mount(OLD, conditions=[READY]),
        mount(OLD, containerStatuses=[wait_for("ErrImagePull")]),
        mount('MountVolume.SetUp failed for volume "x" : failed to sync secret cache: timed out', created=YOUNG),
        build_facts(SPEC, build_event("FailedScheduling", "pod has unbound immediate PersistentVolumeClaims")),
        build_facts(
            SPEC, build_event("FailedMount", OLD), build_event("Pulling", "", "base", time="2026-11-30T10:00:09Z")
        ),
        Facts(pod={"spec": {"nodeName": "n"}}, events=("?", {"reason": "FailedMount", "message": 5})),
    ],
)
def test_pod_that_mounts_its_volumes_has_no_finding(facts: Facts):
    assert [cause for cause in find_causes(facts) if "VOL" in cause[0]] == []
