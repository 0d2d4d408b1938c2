"""The programs of the cluster, built from the Go modules that toolchain/go.mod pins, once per version of that file."""

from __future__ import annotations

import re
from pathlib import Path

from common.errors import ScriptError
from common.files import digest_of_files, whole_folder
from common.mutex import only_one_run
from common.paths import cache_folder
from common.run import Say, run_logged
from local_cluster.go import ensure_go

SOURCES = Path(__file__).with_name("toolchain")

# One binary (toolchain/kube/main.go) that is each of these by the name it is called by.
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")

# Program → its package: the `tool` lines of go.mod. Each is built by a command of its own, because one command refuses
# packages that import the same module in different letters (Sirupsen/logrus, sirupsen/logrus).
TOOLS = {
    "coredns": "github.com/coredns/coredns",
    "etcd": "go.etcd.io/etcd/server/v3",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
    "registry": "github.com/distribution/distribution/v3/cmd/registry",
}

_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
_BUILD_S = 3600.0


def programs() -> Path:
    """Give the folder of the programs; it exists once they are built."""
    sources = [SOURCES / name for name in ("go.mod", "go.sum", "kube/main.go")]
    recipe = (*_flags(), *map(str, _ENVIRONMENT.items()), *map(str, TOOLS.items()))
    return cache_folder("toolchain", digest_of_files(sources, *recipe), "bin")


def build_programs(say: Say) -> Path:
    """Build the programs, unless they are built already, and give their folder.

    An interrupted build leaves nothing that looks finished, and Go's own cache makes the next try short.

    Args:
        say: told what is being compiled.

    Raises:
        ScriptError: there is no Go compiler to be had, or a build failed.
    """
    folder = programs()
    with only_one_run(cache_folder("toolchain", "lock"), "building the cluster's programs", say):
        if not folder.exists():
            go = ensure_go(minimum_go(_go_mod()), say)
            with whole_folder(folder) as draft:
                _build_all(go, draft, say)
    return folder


def minimum_go(go_mod: str) -> tuple[int, ...]:
    """Give the oldest Go version that a go.mod allows."""
    return tuple(int(number) for number in _required(r"^go (\S+)$", go_mod).split("."))


def module_version(go_mod: str, module: str) -> str:
    """Give the version of a module that a go.mod requires, like `v1.37.2`.

    Raises:
        ScriptError: it requires none.
    """
    return _required(rf"^\s+{re.escape(module)} (v\S+)", go_mod)


def version_flags(go_mod: str) -> str:
    """Give the linker flags that make Kubernetes and Helm report the versions they are built from."""
    kubernetes = module_version(go_mod, "k8s.io/kubernetes")
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    values = {"helm.sh/helm/v4/internal/version.version": module_version(go_mod, "helm.sh/helm/v4")}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):  # --version, User-Agent
        values |= {f"{package}.gitVersion": kubernetes, f"{package}.gitTreeState": "clean"}
        values |= {f"{package}.gitMajor": major, f"{package}.gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])


def _flags() -> tuple[str, ...]:
    # -v names each package as it is compiled, for the progress.
    return ("-trimpath", "-buildvcs=false", "-v", f"-ldflags={version_flags(_go_mod())}")


def _go_mod() -> str:
    return (SOURCES / "go.mod").read_text(encoding="utf-8")


def _build_all(go: Path, folder: Path, say: Say) -> None:
    for program, package in {"kube": "./kube", **TOOLS}.items():
        log = cache_folder("logs", f"build-{program}.log")
        log.unlink(missing_ok=True)
        say(program)
        command: list[str | Path] = [go, "build", *_flags(), "-o", folder / program, package]
        news = _news(program, log, say)
        run_logged(command, log, timeout_s=_BUILD_S, cwd=SOURCES, env=_ENVIRONMENT, say=news)
    for part in KUBERNETES:
        (folder / part).symlink_to("kube")


def _news(program: str, log: Path, say: Say) -> Say:
    """Give what turns the latest line of a build's log into news: how many packages so far, and which one."""
    return lambda line: say(f"{program}: {len(log.read_bytes().splitlines())} packages, {line}")


def _required(pattern: str, go_mod: str) -> str:
    match = re.search(pattern, go_mod, re.MULTILINE)
    if not match:
        raise ScriptError(f"{SOURCES / 'go.mod'} has no line that matches {pattern!r}.")
    return match[1]
