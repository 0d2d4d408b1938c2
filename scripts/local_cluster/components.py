"""The parts of the cluster in the order in which they start: how each is run and how one sees that it is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.run import CommandError, capture
from common.waiting import NotYet
from local_cluster.addresses import KUBERNETES_SERVICE_IP, NODE, NODE_IP, POD_CIDR, SERVICE_CIDR
from local_cluster.api import get_health, get_json, get_text
from local_cluster.certificates import (
    API_SERVER,
    CONTROLLER_MANAGER,
    KUBELET,
    KUBELET_CLIENT,
    PROVISIONER,
    PROXY,
    SCHEDULER,
    Pki,
)
from local_cluster.cluster_paths import Layout
from local_cluster.dns import resolve
from local_cluster.kubeconfigs import kubeconfig_of
from local_cluster.node_images.base_images import BUSYBOX
from local_cluster.node_images.load import ctr

_ETCD = "http://127.0.0.1:2379"  # of the cluster's namespace: pods have namespaces of their own
_ETCD_HEALTH = f"http://{NODE_IP}:2381"


@dataclass(frozen=True)
class Part:
    """A process of the cluster.

    Attributes:
        name: of the part.
        argv: program and arguments.
        probe: gives the evidence that it is well, or raises `NotYet`.
        deadline_s: seconds it may take to become well on a slow machine.
    """

    name: str
    argv: tuple[str, ...]
    probe: Callable[[], str]
    deadline_s: float = 120


NAMES = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
    "local-path-provisioner",
)


def parts_of(layout: Layout, programs: Path) -> dict[str, Part]:
    """Give all parts by name, in the order in which they start.

    Args:
        layout: the cluster's files.
        programs: the folder of the toolchain's programs.
    """
    parts = (
        _etcd(layout, programs),
        containerd(layout, layout.config / "containerd.toml"),
        _api_server(layout, programs),
        _controller_manager(layout, programs),
        _scheduler(layout, programs),
        _kubelet(layout, programs),
        _proxy(layout, programs),
        _coredns(layout, programs),
        _provisioner(layout, programs),
    )
    return {part.name: part for part in parts}


def containerd(layout: Layout, config: Path) -> Part:
    """Give containerd with one of its configurations."""

    def probe() -> str:
        try:
            capture((*ctr(layout), "version"), timeout_s=5)
        except CommandError as error:
            raise NotYet(error.output.splitlines()[-1] if error.output else str(error)) from None
        return "answers"

    return Part("containerd", ("containerd", "--config", str(config)), probe)


def _etcd(layout: Layout, programs: Path) -> Part:
    argv = (
        str(programs / "etcd"),
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--listen-metrics-urls={_ETCD_HEALTH}",
        "--unsafe-no-fsync",  # nothing in it outlives a crash of the machine
        "--log-level=warn",
    )
    return Part("etcd", argv, lambda: f"/health {get_health(f'{_ETCD_HEALTH}/health')}")


def _api_server(layout: Layout, programs: Path) -> Part:
    pki = Pki(layout.pki)
    argv = (
        str(programs / "kube-apiserver"),
        f"--etcd-servers={_ETCD}",
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        f"--client-ca-file={pki.authority}",
        f"--tls-cert-file={pki.certificate(API_SERVER)}",
        f"--tls-private-key-file={pki.key(API_SERVER)}",
        f"--kubelet-certificate-authority={pki.authority}",
        f"--kubelet-client-certificate={pki.certificate(KUBELET_CLIENT)}",
        f"--kubelet-client-key={pki.key(KUBELET_CLIENT)}",
        "--kubelet-preferred-address-types=InternalIP",  # nobody resolves the node's name
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki.token_public_key}",
        f"--service-account-signing-key-file={pki.token_key}",
        f"--audit-policy-file={layout.config / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=200",  # megabytes
        "--audit-log-maxbackup=3",
    )
    return Part("kube-apiserver", argv, lambda: f"/readyz {get_text(layout, '/readyz')}")


def _controller_manager(layout: Layout, programs: Path) -> Part:
    pki = Pki(layout.pki)
    argv = (
        str(programs / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig_of(layout, CONTROLLER_MANAGER)}",
        f"--service-account-private-key-file={pki.token_key}",
        f"--root-ca-file={pki.authority}",
        "--use-service-account-credentials",
        "--kube-api-qps=200",  # by default it holds itself back for seconds while it starts
        "--kube-api-burst=400",
        "--leader-elect=false",
        f"--bind-address={NODE_IP}",
        "--profiling=false",
    )

    def probe() -> str:
        # It calls itself healthy before its controllers work; until they do, no pod can be created.
        get_health(f"https://{NODE_IP}:10257/healthz")
        get_json(layout, "/api/v1/namespaces/default/serviceaccounts/default")
        return "/healthz ok, service account default is there"

    return Part("kube-controller-manager", argv, probe)


def _scheduler(layout: Layout, programs: Path) -> Part:
    argv = (
        str(programs / "kube-scheduler"),
        f"--kubeconfig={kubeconfig_of(layout, SCHEDULER)}",
        "--leader-elect=false",
        f"--bind-address={NODE_IP}",
        "--profiling=false",
    )
    return Part("kube-scheduler", argv, lambda: f"/readyz {get_health(f'https://{NODE_IP}:10259/readyz')}")


def _kubelet(layout: Layout, programs: Path) -> Part:
    argv = (
        str(programs / "kubelet"),
        f"--config={layout.config / 'kubelet.yaml'}",
        f"--kubeconfig={kubeconfig_of(layout, KUBELET)}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={layout.kubelet}",
        f"--cert-dir={layout.kubelet / 'pki'}",
        "--node-labels=node.kubernetes.io/instance-type=local,topology.kubernetes.io/zone=local",
    )
    healthz = f"http://{NODE_IP}:10248/healthz"
    return Part("kubelet", argv, lambda: f"/healthz {get_health(healthz)}, {node(layout)}")


def node(layout: Layout) -> str:
    """Give the evidence that the node is Ready.

    Raises:
        NotYet: it is not.
    """
    status = get_json(layout, f"/api/v1/nodes/{NODE}")["status"]
    ready = next((each for each in status["conditions"] if each["type"] == "Ready"), None)
    if not ready or ready["status"] != "True":
        reason = ready["message"] if ready else "the kubelet has not reported yet"
        raise NotYet(f"node {NODE} is not Ready: {reason}")
    return f"node {NODE} Ready ({status['nodeInfo']['kubeletVersion']})"


def _proxy(layout: Layout, programs: Path) -> Part:
    argv = (
        str(programs / "kube-proxy"),
        f"--kubeconfig={kubeconfig_of(layout, PROXY)}",
        f"--hostname-override={NODE}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={POD_CIDR}",
        f"--bind-address={NODE_IP}",
        f"--healthz-bind-address={NODE_IP}:10256",
        "--oom-score-adj=0",  # lowering it needs CAP_SYS_RESOURCE
        "--conntrack-max-per-core=0",  # a limit of the machine, not of the namespace
    )

    def probe() -> str:
        get_health(f"http://{NODE_IP}:10256/healthz")
        return "/healthz ok"

    return Part("kube-proxy", argv, probe)


def _coredns(layout: Layout, programs: Path) -> Part:
    name = "kubernetes.default.svc.cluster.local"

    def probe() -> str:
        address = resolve(name, NODE_IP)
        if address != KUBERNETES_SERVICE_IP:
            raise NotYet(f"{name} is {address}, not {KUBERNETES_SERVICE_IP}")
        return f"kubernetes.default is {address}"

    return Part("coredns", (str(programs / "coredns"), "-conf", str(layout.config / "Corefile")), probe)


def _provisioner(layout: Layout, programs: Path) -> Part:
    argv = (
        str(programs / "local-path-provisioner"),
        "start",
        f"--kubeconfig={kubeconfig_of(layout, PROVISIONER)}",
        f"--config={layout.config / 'local-path.json'}",
        f"--helper-image={BUSYBOX}",
        f"--helper-pod-file={layout.config / 'local-path-helper.yaml'}",
        "--service-account-name=local-path-helper",
    )

    def probe() -> str:
        get_json(layout, "/apis/storage.k8s.io/v1/storageclasses/local-path")
        return "StorageClass local-path is there"

    return Part("local-path-provisioner", argv, probe)
