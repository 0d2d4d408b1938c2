"""The command line of scripts/cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from common.errors import EXIT_FAILED, ScriptError
from common.steps import Steps
from local_cluster import cluster
from local_cluster.cluster_paths import default_paths
from local_cluster.components import NAMES
from local_cluster.status import read_health, render_report

_DESCRIPTION = """\
A disposable Kubernetes cluster on this machine: one node of upstream components (etcd, API server, kubelet, containerd,
CoreDNS …) in a network namespace of its own, without access to other networks. Requires root, and apt-get to install
missing packages.

The cluster is not durable: after a reboot or a kill of its processes, `up` starts an EMPTY cluster. Only programs and
loaded images are kept."""


def main() -> int:
    """Run the command of the command line and return the exit code."""
    arguments = _parser().parse_args()
    code: int = arguments.command(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/cluster", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the cluster, or restart stopped components of a running one")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", help="remove the cluster; keep programs, images and logs")
    down.set_defaults(command=_down)

    status = commands.add_parser("status", help="show the health of all components; exit code 1 unless all are healthy")
    status.set_defaults(command=_status)

    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    kubeconfig.set_defaults(command=_kubeconfig)

    load = commands.add_parser("load", help="load the images of archives (docker save) into the node")
    load.add_argument("archives", nargs="+", type=Path, metavar="IMAGE.tar")
    load.set_defaults(command=_load)

    logs = commands.add_parser("logs", help="show the last lines of a component's log")
    logs.add_argument("component", choices=(*NAMES, "audit"), metavar="COMPONENT", help=", ".join((*NAMES, "audit")))
    logs.add_argument("-n", "--lines", type=int, default=50, help="number of lines (default: 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="follow the log")
    logs.set_defaults(command=_logs)
    return parser


def _up(_: argparse.Namespace) -> int:
    cluster.up(Steps())
    print(f'The cluster is up. To use it: export KUBECONFIG="{cluster.kubeconfig_path()}"', file=sys.stderr)
    return 0


def _down(_: argparse.Namespace) -> int:
    if not cluster.down(Steps()):
        print("No cluster is running.", file=sys.stderr)
    return 0


def _status(_: argparse.Namespace) -> int:
    components = read_health(default_paths())
    print(render_report(default_paths(), components))
    return 0 if all(component.healthy for component in components) else EXIT_FAILED


def _kubeconfig(_: argparse.Namespace) -> int:
    path = cluster.kubeconfig_path()
    if not path.exists():
        raise ScriptError("The local cluster is not running. Run `scripts/cluster up` first.")
    print(path)
    return 0


def _load(arguments: argparse.Namespace) -> int:
    steps = Steps()
    with steps.step("Load images") as step:
        cluster.load(arguments.archives, step.detail)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    log = default_paths().log(arguments.component)
    if not log.exists():
        raise ScriptError(
            f"{log} does not exist: {arguments.component} has not been started. Run `scripts/cluster up` first."
        )
    follow = ["--follow=name", "--retry"] if arguments.follow else []
    os.execvp("tail", ["tail", f"--lines={arguments.lines}", *follow, str(log)])
