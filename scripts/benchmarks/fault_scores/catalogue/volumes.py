"""Volume claims, storage classes, storage drivers and paths on the node."""

from __future__ import annotations

from benchmarks.fault_scores.catalogue.references import build_volume
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PLATFORM_TEAM, Build, Engine, Expected, Fault, Json, Place
from local_cluster.addresses import NODE

_ABSENT = r"not exist|not found|missing"
_PRIVILEGED = Place({"podSecurity": "baseline"}, is_own=False, level="privileged")
_ONLY_TASK: tuple[Engine, ...] = ("team",)
"""Pods that share a volume share the node's attempts to mount it, so only the first one would get events at once."""

_WORD = "data"


def build_claim(name: str, storage_class: str | None, mode: str = "ReadWriteOnce", **spec: object) -> Json:
    """Build a claim; without a class the cluster's default."""
    fields: Json = {"accessModes": [mode], "resources": {"requests": {"storage": "1Mi"}}, **spec}
    if storage_class is not None:
        fields["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": fields}


def build_class(name: str, provisioner: str) -> Json:
    """Build a StorageClass."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
    }


def build_bound(name: str, source: Json, affinity: Json | None = None) -> tuple[Json, Json]:
    """Build a claim and the PersistentVolume to which it is bound."""
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Mi"},
        "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        **source,
    }
    if affinity:
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [affinity]}]}}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    return volume, build_claim(name, "", volumeName=name)


def _mount(claim: str) -> tuple[Json, Json]:
    return build_volume(_WORD, {"persistentVolumeClaim": {"claimName": claim}})


def _at(key: str, *values: str) -> Json:
    return {"key": key, "operator": "In", "values": list(values)}


def missing_claim(draw: Draw) -> Fault:
    """A claim that does not exist."""
    name = draw.name()
    expected = Expected(("KPO-VOL101",), (name, _ABSENT), f"PersistentVolumeClaim {name}", "claimName|claim")
    return Fault("claim", expected, *_mount(name))


def misspelled_claim(draw: Draw) -> Fault:
    """A claim whose name has one letter too many."""
    name = draw.name()
    wrong = name.replace("-", "-s", 1)
    about = f"PersistentVolumeClaim {wrong}"
    expected = Expected(("KPO-VOL101",), (wrong, _ABSENT), about, "claimName", is_healable=True)
    return Fault("claim-misspelled", expected, *_mount(wrong), objects=(build_claim(name, None),))


def deleted_claim(draw: Draw) -> Fault:
    """A claim that is being deleted."""
    name = draw.name()
    claim = build_claim(name, None)
    claim["metadata"]["finalizers"] = ["example.com/backup"]
    expected = Expected(("KPO-VOL102",), (name, r"delet"), f"PersistentVolumeClaim {name}", "claim|again")
    commands = (("delete", "pvc", name, "--wait=false"),)
    return Fault("claim-deleted", expected, *_mount(name), objects=(claim,), commands=commands)


def missing_class(draw: Draw) -> Fault:
    """A claim of a StorageClass that does not exist."""
    name, storage_class = draw.name(), draw.name()
    expected = Expected(
        ("KPO-VOL111",), (storage_class, _ABSENT), f"PersistentVolumeClaim {name}", "class", is_healable=True
    )
    return Fault("storage-class", expected, *_mount(name), objects=(build_claim(name, storage_class),))


def wrong_mode(draw: Draw) -> Fault:
    """An access mode that the storage does not support."""
    name = draw.name()
    words = (r"ReadWriteMany|access ?mode", name)
    expected = Expected(("KPO-VOL113",), words, f"PersistentVolumeClaim {name}", "ReadWriteOnce", is_healable=True)
    return Fault("access-mode", expected, *_mount(name), objects=(build_claim(name, "local-path", "ReadWriteMany"),))


def silent_provisioner(draw: Draw) -> Fault:
    """A StorageClass whose provisioner does not run."""
    name, provisioner = draw.name(), f"{draw.name()}.example.com/disk"
    storage_class = build_class(draw.name(), provisioner)
    about = f"PersistentVolumeClaim {name}"
    expected = Expected(("KPO-VOL115",), (name, "provision"), about, "provisioner", PLATFORM_TEAM, silence_s=60)
    claim = build_claim(name, storage_class["metadata"]["name"])
    return Fault("provisioner", expected, *_mount(name), objects=(storage_class, claim), settle_s=75)


def no_volume(draw: Draw) -> Fault:
    """A claim for a PersistentVolume that does not exist."""
    name = draw.name()
    words = (name, r"PersistentVolume|no volume|unbound")
    expected = Expected(("KPO-VOL116",), words, f"PersistentVolumeClaim {name}", "PersistentVolume", PLATFORM_TEAM)
    return Fault("no-volume", expected, *_mount(name), objects=(build_claim(name, ""),))


def unknown_volume(draw: Draw) -> Fault:
    """A claim that names a PersistentVolume that does not exist."""
    name, volume = draw.name(), draw.name()
    words = (name, volume)
    expected = Expected(("KPO-VOL116",), words, f"PersistentVolumeClaim {name}", "PersistentVolume", PLATFORM_TEAM)
    return Fault("volume-name", expected, *_mount(name), objects=(build_claim(name, "", volumeName=volume),))


def other_node(draw: Draw) -> Fault:
    """A volume that only another node can use."""
    name = draw.name()
    place = _at("kubernetes.io/hostname", draw.name())
    about = f"PersistentVolumeClaim {name}"
    expected = Expected(("KPO-VOL106",), (name, r"node"), about, "volume")
    volume, claim = build_bound(name, {"local": {"path": draw.path()}}, place)
    return Fault("volume-node", expected, *_mount(name), objects=(volume, claim))


def missing_disk(draw: Draw) -> Fault:
    """A local volume whose directory does not exist on the node."""
    name, path = draw.name(), draw.path()
    words = (path, r"not exist|no such file")
    expected = Expected(("KPO-VOL123",), words, f"PersistentVolumeClaim {name}", "path|disk", PLATFORM_TEAM)
    volume, claim = build_bound(name, {"local": {"path": path}}, _at("kubernetes.io/hostname", NODE))
    return Fault("volume-path", expected, *_mount(name), objects=(volume, claim), engines=_ONLY_TASK)


def missing_driver(draw: Draw) -> Fault:
    """A volume of a CSI driver that the node does not have."""
    name, driver = draw.name(), f"{draw.name()}.example.com"
    words = (driver, r"driver")
    expected = Expected(("KPO-VOL121",), words, f"PersistentVolumeClaim {name}", "driver", PLATFORM_TEAM)
    volume, claim = build_bound(name, {"csi": {"driver": driver, "volumeHandle": draw.name()}})
    known = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": driver},
        "spec": {"attachRequired": False},
    }
    return Fault("csi-driver", expected, *_mount(name), objects=(known, volume, claim), engines=_ONLY_TASK)


def missing_program(draw: Draw) -> Fault:
    """An NFS volume on a node without the program that mounts it."""
    name = draw.name()
    words = (r"nfs|mount program|bad option|helper",)
    expected = Expected(("KPO-VOL121",), words, f"PersistentVolumeClaim {name}", "node|package|driver", PLATFORM_TEAM)
    volume, claim = build_bound(name, {"nfs": {"server": "192.0.2.1", "path": draw.path()}})
    return Fault("mount-program", expected, *_mount(name), objects=(volume, claim))


def missing_host_path(draw: Draw) -> Fault:
    """A directory of the node that does not exist."""
    path = f"/tmp/{draw.name()}"
    spec, container = build_volume(_WORD, {"hostPath": {"path": path, "type": "Directory"}})
    expected = Expected(("KPO-VOL119",), (path, r"not a directory|not exist|no such"), advice="path", is_healable=True)
    return Fault("host-path", expected, spec, container, _PRIVILEGED, engines=("diagnose", "stock"))


def no_ephemeral_claim(draw: Draw) -> Fault:
    """An ephemeral volume in a namespace whose quota allows no claim."""
    quota = build_quota(draw.name(), {"persistentvolumeclaims": "0"})
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}
    spec, container = build_volume(_WORD, {"ephemeral": {"volumeClaimTemplate": template}})
    words = (r"claim|ephemeral", r"quota")
    expected = Expected(("KPO-VOL105",), words, advice="quota|volumeClaimTemplate", who=PLATFORM_TEAM)
    place = Place(is_own=True)
    return Fault("ephemeral-claim", expected, spec, container, place, (quota,), _count_quota(quota))


def used_once(draw: Draw) -> Fault:
    """A ReadWriteOncePod claim that another pod uses."""
    name = draw.name()
    claim = build_claim(name, None, "ReadWriteOncePod")
    user = _build_holder(draw.name(), name)
    words = (name, r"use|ReadWriteOncePod|another pod")
    expected = Expected(("KPO-VOL107",), words, f"PersistentVolumeClaim {name}", "pool|one after|claim")
    ready = (("wait", "--for=condition=Ready", f"pod/{user['metadata']['name']}", "--timeout=60s"),)
    return Fault("volume-in-use", expected, *_mount(name), objects=(claim, user), commands=ready)


def build_quota(name: str, hard: dict[str, str]) -> Json:
    """Build a ResourceQuota."""
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}}


def _count_quota(quota: Json) -> tuple[tuple[str, ...], ...]:
    name = quota["metadata"]["name"]
    return (("wait", "--for=jsonpath={.status.hard}", f"resourcequota/{name}", "--timeout=30s"),)


def _build_holder(name: str, claim: str) -> Json:
    """Build a pod that uses a claim for as long as the faults are played."""
    spec, container = _mount(claim)
    pod = Fault("", Expected((), ()), spec, {**container, "command": ["sleep", "3000"]}).build_pod()
    return {**pod, "metadata": {"name": name}}


FAULTS: tuple[Build, ...] = (
    *(missing_claim, misspelled_claim, deleted_claim, missing_class, wrong_mode, silent_provisioner, no_volume),
    *(unknown_volume, other_node, missing_disk, missing_driver, missing_program, missing_host_path),
    *(no_ephemeral_claim, used_once),
)
"""The kinds of this family."""
