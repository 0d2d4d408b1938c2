"""The cluster's components in start order: command line and health probe of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.command import CommandError, capture_output
from common.polling import NotYet
from local_cluster.addresses import KUBERNETES_SERVICE_IP, NODE, NODE_IP, POD_CIDR, SERVICE_CIDR
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
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.dns import resolve
from local_cluster.http_client import get_health, get_json, get_text
from local_cluster.kubeconfigs import kubeconfig_path
from local_cluster.node_images.base_images import BUSYBOX
from local_cluster.node_images.image_import import ctr_command

_ETCD = "http://127.0.0.1:2379"  # in the cluster's network namespace; pods have their own
_ETCD_HEALTH = f"http://{NODE_IP}:2381"


@dataclass(frozen=True)
class Component:
    """A process of the cluster.

    Attributes:
        name: its name.
        argv: program and arguments.
        probe: returns the evidence of its health, or raises `NotYet`.
        deadline_s: seconds to become healthy on a slow machine.
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


def cluster_components(paths: ClusterPaths, programs: Path) -> dict[str, Component]:
    """Return all components by name, in start order.

    Args:
        paths: the cluster's files.
        programs: the folder of the built programs.
    """
    components = (
        _etcd(paths, programs),
        containerd(paths, paths.config / "containerd.toml"),
        _api_server(paths, programs),
        _controller_manager(paths, programs),
        _scheduler(paths, programs),
        _kubelet(paths, programs),
        _proxy(paths, programs),
        _coredns(paths, programs),
        _provisioner(paths, programs),
    )
    return {component.name: component for component in components}


def containerd(paths: ClusterPaths, config: Path) -> Component:
    """Return containerd with one of its configurations."""

    def probe() -> str:
        try:
            capture_output((*ctr_command(paths), "version"), timeout_s=5)
        except CommandError as error:
            raise NotYet(error.output.splitlines()[-1] if error.output else str(error)) from None
        return "responds"

    return Component("containerd", ("containerd", "--config", str(config)), probe)


def _etcd(paths: ClusterPaths, programs: Path) -> Component:
    argv = (
        str(programs / "etcd"),
        f"--data-dir={paths.etcd}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--listen-metrics-urls={_ETCD_HEALTH}",
        "--unsafe-no-fsync",  # its data is discarded after a crash anyway
        "--log-level=warn",
    )
    return Component("etcd", argv, lambda: f"/health {get_health(f'{_ETCD_HEALTH}/health')}")


def _api_server(paths: ClusterPaths, programs: Path) -> Component:
    pki = Pki(paths.pki)
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
        f"--client-ca-file={pki.ca_certificate}",
        f"--tls-cert-file={pki.certificate(API_SERVER)}",
        f"--tls-private-key-file={pki.key(API_SERVER)}",
        f"--kubelet-certificate-authority={pki.ca_certificate}",
        f"--kubelet-client-certificate={pki.certificate(KUBELET_CLIENT)}",
        f"--kubelet-client-key={pki.key(KUBELET_CLIENT)}",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name has no DNS record
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki.token_public_key}",
        f"--service-account-signing-key-file={pki.token_key}",
        f"--audit-policy-file={paths.config / 'audit-policy.yaml'}",
        f"--audit-log-path={paths.audit_log}",
        "--audit-log-maxsize=200",  # megabytes
        "--audit-log-maxbackup=3",
    )
    return Component("kube-apiserver", argv, lambda: f"/readyz {get_text(paths, '/readyz')}")


def _controller_manager(paths: ClusterPaths, programs: Path) -> Component:
    pki = Pki(paths.pki)
    argv = (
        str(programs / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig_path(paths, CONTROLLER_MANAGER)}",
        f"--service-account-private-key-file={pki.token_key}",
        f"--root-ca-file={pki.ca_certificate}",
        "--use-service-account-credentials",
        "--kube-api-qps=200",  # the default limit delays its start by seconds
        "--kube-api-burst=400",
        "--leader-elect=false",
        f"--bind-address={NODE_IP}",
        "--profiling=false",
    )

    def probe() -> str:
        # /healthz succeeds before the controllers work, and without them no pod can be created.
        get_health(f"https://{NODE_IP}:10257/healthz")
        get_json(paths, "/api/v1/namespaces/default/serviceaccounts/default")
        return "/healthz ok, service account default exists"

    return Component("kube-controller-manager", argv, probe)


def _scheduler(paths: ClusterPaths, programs: Path) -> Component:
    argv = (
        str(programs / "kube-scheduler"),
        f"--kubeconfig={kubeconfig_path(paths, SCHEDULER)}",
        "--leader-elect=false",
        f"--bind-address={NODE_IP}",
        "--profiling=false",
    )
    return Component("kube-scheduler", argv, lambda: f"/readyz {get_health(f'https://{NODE_IP}:10259/readyz')}")


def _kubelet(paths: ClusterPaths, programs: Path) -> Component:
    argv = (
        str(programs / "kubelet"),
        f"--config={paths.config / 'kubelet.yaml'}",
        f"--kubeconfig={kubeconfig_path(paths, KUBELET)}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={paths.kubelet}",
        f"--cert-dir={paths.kubelet / 'pki'}",
        "--node-labels=node.kubernetes.io/instance-type=local,topology.kubernetes.io/zone=local",
    )
    healthz = f"http://{NODE_IP}:10248/healthz"
    return Component("kubelet", argv, lambda: f"/healthz {get_health(healthz)}, {probe_node(paths)}")


def probe_node(paths: ClusterPaths) -> str:
    """Return the evidence that the node is Ready.

    Raises:
        NotYet: it is not Ready.
    """
    status = get_json(paths, f"/api/v1/nodes/{NODE}")["status"]
    ready = next((condition for condition in status["conditions"] if condition["type"] == "Ready"), None)
    if not ready or ready["status"] != "True":
        reason = ready["message"] if ready else "the kubelet has not reported its status"
        raise NotYet(f"node {NODE} is not Ready: {reason}")
    return f"node {NODE} Ready ({status['nodeInfo']['kubeletVersion']})"


def _proxy(paths: ClusterPaths, programs: Path) -> Component:
    argv = (
        str(programs / "kube-proxy"),
        f"--kubeconfig={kubeconfig_path(paths, PROXY)}",
        f"--hostname-override={NODE}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={POD_CIDR}",
        f"--bind-address={NODE_IP}",
        f"--healthz-bind-address={NODE_IP}:10256",
        "--oom-score-adj=0",  # a lower one requires CAP_SYS_RESOURCE
        "--conntrack-max-per-core=0",  # this limit is machine-wide
    )

    def probe() -> str:
        get_health(f"http://{NODE_IP}:10256/healthz")
        return "/healthz ok"

    return Component("kube-proxy", argv, probe)


def _coredns(paths: ClusterPaths, programs: Path) -> Component:
    name = "kubernetes.default.svc.cluster.local"

    def probe() -> str:
        address = resolve(name, NODE_IP)
        if address != KUBERNETES_SERVICE_IP:
            raise NotYet(f"{name} is {address}, not {KUBERNETES_SERVICE_IP}")
        return f"kubernetes.default is {address}"

    return Component("coredns", (str(programs / "coredns"), "-conf", str(paths.config / "Corefile")), probe)


def _provisioner(paths: ClusterPaths, programs: Path) -> Component:
    argv = (
        str(programs / "local-path-provisioner"),
        "start",
        f"--kubeconfig={kubeconfig_path(paths, PROVISIONER)}",
        f"--config={paths.config / 'local-path.json'}",
        f"--helper-image={BUSYBOX}",
        f"--helper-pod-file={paths.config / 'local-path-helper.yaml'}",
        "--service-account-name=local-path-helper",
    )

    def probe() -> str:
        get_json(paths, "/apis/storage.k8s.io/v1/storageclasses/local-path")
        return "StorageClass local-path exists"

    return Component("local-path-provisioner", argv, probe)
