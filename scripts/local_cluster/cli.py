"""The command line of scripts/cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from common.errors import EXIT_FAILED, ScriptError
from common.steps import Steps
from local_cluster import cluster
from local_cluster.cluster_paths import default_layout
from local_cluster.components import NAMES
from local_cluster.status import health, report

_DESCRIPTION = """\
A throw-away Kubernetes on this machine: one node of real upstream parts (etcd, API server, kubelet, containerd,
CoreDNS …) in a network namespace of its own, without a way off the machine. Needs root, and apt-get for what is
missing.

It is not meant to last: when its processes are gone (restart, kill), the next `up` starts an EMPTY cluster.
Only the programs and the loaded images are kept."""


def main() -> int:
    """Do what the command line says and give the exit code."""
    arguments = _parser().parse_args()
    code: int = arguments.command(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/cluster", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the cluster, or mend the running one")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", help="take the cluster off the machine; keep programs, images and logs")
    down.set_defaults(command=_down)

    status = commands.add_parser("status", help="show all parts and how they are; exit code 1 unless all are well")
    status.set_defaults(command=_status)

    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    kubeconfig.set_defaults(command=_kubeconfig)

    load = commands.add_parser("load", help="put the images of archives (docker save) onto the node")
    load.add_argument("archives", nargs="+", type=Path, metavar="IMAGE.tar")
    load.set_defaults(command=_load)

    logs = commands.add_parser("logs", help="show the end of a part's log")
    logs.add_argument("part", choices=(*NAMES, "audit"), metavar="PART", help=", ".join((*NAMES, "audit")))
    logs.add_argument("-n", "--lines", type=int, default=50, help="how many lines (default: 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing what is added")
    logs.set_defaults(command=_logs)
    return parser


def _up(_: argparse.Namespace) -> int:
    cluster.up(Steps())
    print(f'The cluster is up: export KUBECONFIG="{cluster.kubeconfig()}"', file=sys.stderr)
    return 0


def _down(_: argparse.Namespace) -> int:
    if not cluster.down(Steps()):
        print("There is no cluster to take down.", file=sys.stderr)
    return 0


def _status(_: argparse.Namespace) -> int:
    parts = health(default_layout())
    print(report(default_layout(), parts))
    return 0 if all(part.well for part in parts) else EXIT_FAILED


def _kubeconfig(_: argparse.Namespace) -> int:
    path = cluster.kubeconfig()
    if not path.exists():
        raise ScriptError("The local cluster is not up: run `scripts/cluster up` first.")
    print(path)
    return 0


def _load(arguments: argparse.Namespace) -> int:
    steps = Steps()
    with steps.step("Load images") as step:
        cluster.load(arguments.archives, step.detail)
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    log = default_layout().log(arguments.part)
    if not log.exists():
        raise ScriptError(f"{log} does not exist: {arguments.part} has not been started yet.")
    follow = ["--follow=name", "--retry"] if arguments.follow else []
    os.execvp("tail", ["tail", f"--lines={arguments.lines}", *follow, str(log)])
