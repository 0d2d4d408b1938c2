"""Where the cluster keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.paths import cache_folder

# The path of a Unix socket has at most 107 bytes, and the kubelet's longest is its root and
# /pod-resources/ with a number of ten digits.
_LONGEST_STATE = 72


@dataclass(frozen=True)
class Layout:
    """The folders and files below one folder of state.

    Attributes:
        state: the folder of all of them.
    """

    state: Path

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Rendered configuration of the parts, and their kubeconfigs."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log per part, and the audit log. Kept by `down`, emptied when an empty cluster starts."""
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object a line."""
        return self.logs / "audit.log"

    @property
    def run(self) -> Path:
        """What means something only while the processes live: process records, sockets, mounts."""
        return self.state / "run"

    @property
    def complete(self) -> Path:
        """Exists once `up` has finished: what runs is no half of a cluster. Names the programs it was started with."""
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
        """The address book of the pod network."""
        return self.state / "cni"

    @property
    def volumes(self) -> Path:
        """The data of persistent volumes."""
        return self.state / "volumes"

    @property
    def containerd(self) -> Path:
        """Containerd's images. The only state that outlives a cluster."""
        return self.state / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's way in, with embedded certificates."""
        return self.state / "admin.kubeconfig"

    @property
    def lock(self) -> Path:
        """Held while the cluster is being changed. Of the machine, as its one cluster is, not of a user."""
        return Path("/run/kpo-platform-cluster.lock")

    @property
    def passing(self) -> tuple[Path, ...]:
        """What goes with the cluster; `run` last, for it tells the next run that an interrupted one left more."""
        return (self.etcd, self.kubelet, self.cni, self.volumes, self.pod_logs, self.pki, self.config, self.run)

    def log(self, part: str) -> Path:
        """Give the log of a part.

        Args:
            part: its name, or `audit`.
        """
        return self.logs / f"{part}.log"


def default_layout() -> Layout:
    """Give the layout of the machine's one local cluster."""
    return Layout(cache_folder("cluster"))


def require_short(layout: Layout) -> None:
    """Refuse a path that leaves no room for the sockets of a cluster.

    Raises:
        ScriptError: the path is too long.
    """
    length = len(str(layout.state))
    if length > _LONGEST_STATE:
        raise ScriptError(
            f"The path {layout.state} is too long for the sockets of a cluster in it ({length} characters, "
            f"at most {_LONGEST_STATE}): set XDG_CACHE_HOME to a shorter folder."
        )
