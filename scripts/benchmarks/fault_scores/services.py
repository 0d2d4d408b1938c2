"""The registry and the servers that misbehave, during the benchmark."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_scores.hosts import DROPPED
from benchmarks.fault_scores.images import push_images
from common.command import capture_output
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from local_cluster.addresses import NODE_IP
from local_cluster.network import ENTER_NAMESPACE
from stack.registry import Registry, run_registry

_CERTIFICATES = {"self-signed": 30, "expired": -1, "webhook": 30}
"""Name of the certificate → days until its end."""

_TABLE = "kpo_faults"
_RULES = f"""
table inet {_TABLE} {{
  chain input {{ type filter hook input priority 0; tcp dport {DROPPED.partition(":")[2]} drop; }}
}}
"""


@dataclass(frozen=True)
class Services:
    """What runs beside the cluster.

    Attributes:
        registry: the registry that works.
        authority: the certificate of the webhook, in base64.
    """

    registry: Registry
    authority: str


@contextmanager
def run_services(programs: Path, folder: Path) -> Iterator[Services]:
    """Run them during the block.

    Args:
        programs: the folder of the cluster's programs.
        folder: an empty folder for their files.
    """
    for name, days in _CERTIFICATES.items():
        _create_certificate(folder / name, days)
    python_path = ":".join(str(REPOSITORY / name) for name in ("platform", "scripts"))
    command: list[str | Path] = [*ENTER_NAMESPACE, sys.executable, "-m", "benchmarks.fault_scores.bad_servers", folder]
    with (
        _drop_packets(),
        run_registry(programs, folder) as registry,
        (folder / "bad_servers.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={"PYTHONPATH": python_path}) as process,
    ):
        try:
            wait_for("the servers to listen", lambda: _probe(folder, process), deadline_s=20)
            push_images(registry)
            yield Services(registry, base64.b64encode((folder / "webhook.crt").read_bytes()).decode())
        finally:
            process.terminate()


@contextmanager
def _drop_packets() -> Iterator[None]:
    """Drop the packets to `DROPPED` during the block."""
    _run_nft(_RULES)
    try:
        yield
    finally:
        _run_nft(f"delete table inet {_TABLE}\n")


def _run_nft(rules: str) -> None:
    """Change the packet filter of the cluster's network."""
    capture_output((*ENTER_NAMESPACE, "nft", "-f", "-"), stdin=rules)


def _probe(folder: Path, process: subprocess.Popen[bytes]) -> None:
    if not (folder / "ready").exists():
        raise NotYet(f"exit code {process.poll()}; {(folder / 'bad_servers.log').read_text()[-300:]}")


def _create_certificate(file: Path, days: int) -> None:
    """Create a certificate of an authority that only it has, for the node's address."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", f"{file}.key")
    name = ("-subj", f"/CN={file.name}", "-addext", f"subjectAltName=IP:{NODE_IP}")
    request = ("openssl", "req", "-new", "-nodes", *key, *name, "-out", f"{file}.csr")
    capture_output(request)
    config = file.with_suffix(".cnf")
    config.write_text(f"subjectAltName=IP:{NODE_IP}\nbasicConstraints=CA:TRUE\n")
    sign = ("openssl", "x509", "-req", "-in", f"{file}.csr", "-signkey", f"{file}.key", "-extfile", str(config))
    capture_output((*sign, "-days", str(days), "-out", f"{file}.crt"))
