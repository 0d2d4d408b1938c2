"""Paths of the cluster's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.paths import cache_path

# The path of a Unix socket is limited to 107 bytes. The kubelet's longest socket is /pod-resources/ and a ten-digit
# number below its root.
_LONGEST_STATE = 72


@dataclass(frozen=True)
class ClusterPaths:
    """The files and folders of a cluster.

    Attributes:
        state: the root folder.
    """

    state: Path

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Rendered configuration files and kubeconfigs of the components."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log per component, and the audit log.

        `down` keeps them; the start of an empty cluster deletes them.
        """
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object per line."""
        return self.logs / "audit.log"

    @property
    def run(self) -> Path:
        """Runtime state, valid only while the processes live: process records, sockets, mounts."""
        return self.state / "run"

    @property
    def completion_marker(self) -> Path:
        """Marks that `up` has completed; contains the folder of the programs that were started."""
        return self.run / "complete"

    @property
    def etcd(self) -> Path:
        """The cluster's database."""
        return self.state / "etcd"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root folder, with the volumes it mounts."""
        return self.state / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """The containers' logs."""
        return self.state / "pod-logs"

    @property
    def cni(self) -> Path:
        """The IP address allocations of the pod network."""
        return self.state / "cni"

    @property
    def volumes(self) -> Path:
        """The data of persistent volumes."""
        return self.state / "volumes"

    @property
    def containerd(self) -> Path:
        """Containerd's images, the only state that is kept between clusters."""
        return self.state / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Containerd's socket."""
        return self.run / "containerd.sock"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, with embedded certificates."""
        return self.state / "admin.kubeconfig"

    @property
    def lock(self) -> Path:
        """The lock for changes of the cluster; machine-wide, because there is one cluster per machine."""
        return Path("/run/kpo-platform-cluster.lock")

    @property
    def ephemeral_folders(self) -> tuple[Path, ...]:
        """Folders that `down` deletes; `run` is last, because it marks that something is left to delete."""
        return (self.etcd, self.kubelet, self.cni, self.volumes, self.pod_logs, self.pki, self.config, self.run)

    def log(self, component: str) -> Path:
        """Return the log of a component.

        Args:
            component: its name, or `audit`.
        """
        return self.logs / f"{component}.log"


def default_paths() -> ClusterPaths:
    """Return the paths of the machine's local cluster."""
    return ClusterPaths(cache_path("cluster"))


def check_path_length(paths: ClusterPaths) -> None:
    """Reject a path that is too long for the cluster's sockets.

    Raises:
        ScriptError: the path is too long.
    """
    length = len(str(paths.state))
    if length > _LONGEST_STATE:
        raise ScriptError(
            f"Cannot start a cluster in {paths.state}: the path has {length} characters, and its sockets allow at most "
            f"{_LONGEST_STATE}. Set XDG_CACHE_HOME to a shorter path."
        )
