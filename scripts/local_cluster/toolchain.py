"""The cluster's programs, built from the Go modules that toolchain/go.mod pins, once per version of that file."""

from __future__ import annotations

import re
from pathlib import Path

from common.command import Progress, run_logged
from common.errors import ScriptError
from common.files import atomic_folder, hash_files
from common.mutex import hold_lock
from common.paths import cache_path
from local_cluster.go import ensure_go

SOURCES = Path(__file__).with_name("toolchain")

# Names of one binary (toolchain/kube/main.go), which runs the component of the name with which it is started.
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")

# Program → its package: the `tool` lines of go.mod. Each has a build command of its own, because one command rejects
# packages that import the same module with different letter case (Sirupsen/logrus, sirupsen/logrus).
TOOLS = {
    "coredns": "github.com/coredns/coredns",
    "etcd": "go.etcd.io/etcd/server/v3",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
    "registry": "github.com/distribution/distribution/v3/cmd/registry",
}

_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
_BUILD_S = 3600.0


def programs_folder() -> Path:
    """Return the folder of the programs, which exists once they are built."""
    sources = [SOURCES / name for name in ("go.mod", "go.sum", "kube/main.go")]
    settings = (*_flags(), *map(str, _ENVIRONMENT.items()), *map(str, TOOLS.items()))
    return cache_path("toolchain", hash_files(sources, *settings), "bin")


def build_programs(progress: Progress) -> Path:
    """Build the programs unless they exist, and return their folder.

    An interrupted build leaves no programs; Go's own cache makes the next build short.

    Args:
        progress: called with the program and package that is being compiled.

    Raises:
        ScriptError: no Go compiler is available, or a build failed.
    """
    folder = programs_folder()
    with hold_lock(cache_path("toolchain", "lock"), "building the cluster's programs", progress):
        if not folder.exists():
            go = ensure_go(minimum_go(_go_mod()), progress)
            with atomic_folder(folder) as draft:
                _build_all(go, draft, progress)
    return folder


def minimum_go(go_mod: str) -> tuple[int, ...]:
    """Return the oldest Go version that a go.mod allows."""
    return tuple(int(number) for number in _search(r"^go (\S+)$", go_mod).split("."))


def module_version(go_mod: str, module: str) -> str:
    """Return the version of a module that a go.mod requires, like `v1.37.2`.

    Raises:
        ScriptError: the go.mod does not require the module.
    """
    return _search(rf"^\s+{re.escape(module)} (v\S+)", go_mod)


def linker_version_flags(go_mod: str) -> str:
    """Return the linker flags that set the versions which Kubernetes and Helm report."""
    kubernetes = module_version(go_mod, "k8s.io/kubernetes")
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    values = {"helm.sh/helm/v4/internal/version.version": module_version(go_mod, "helm.sh/helm/v4")}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):  # --version, User-Agent
        values |= {f"{package}.gitVersion": kubernetes, f"{package}.gitTreeState": "clean"}
        values |= {f"{package}.gitMajor": major, f"{package}.gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])


def _flags() -> tuple[str, ...]:
    # -v prints each package as it is compiled, for the progress.
    return ("-trimpath", "-buildvcs=false", "-v", f"-ldflags={linker_version_flags(_go_mod())}")


def _go_mod() -> str:
    return (SOURCES / "go.mod").read_text(encoding="utf-8")


def _build_all(go: Path, folder: Path, progress: Progress) -> None:
    for program, package in {"kube": "./kube", **TOOLS}.items():
        log = cache_path("logs", f"build-{program}.log")
        log.unlink(missing_ok=True)
        progress(program)
        command: list[str | Path] = [go, "build", *_flags(), "-o", folder / program, package]
        report_line = _line_reporter(program, log, progress)
        run_logged(command, log, timeout_s=_BUILD_S, cwd=SOURCES, env=_ENVIRONMENT, progress=report_line)
    for name in KUBERNETES:
        (folder / name).symlink_to("kube")


def _line_reporter(program: str, log: Path, progress: Progress) -> Progress:
    """Return a callback that reports a build log's latest line and number of packages."""
    return lambda line: progress(f"{program}: {len(log.read_bytes().splitlines())} packages, {line}")


def _search(pattern: str, go_mod: str) -> str:
    match = re.search(pattern, go_mod, re.MULTILINE)
    if not match:
        raise ScriptError(f"{SOURCES / 'go.mod'} contains no line that matches {pattern!r}. Restore it with git.")
    return match[1]
