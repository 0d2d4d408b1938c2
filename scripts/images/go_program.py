"""Go programs of images, compiled outside the image because the base image's compiler is too old."""

from __future__ import annotations

from pathlib import Path

from common.command import Progress, capture_output
from local_cluster.go import ensure_go
from local_cluster.toolchain import minimum_go

_BUILD_S = 900.0
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def compile_program(package: str, module: Path, target: Path, progress: Progress) -> None:
    """Compile a Go package into one static binary.

    Args:
        package: import path of the package, one of the `tool` lines of the module's go.mod.
        module: the folder of go.mod and go.sum.
        target: path of the binary.
        progress: called with the current activity.

    Raises:
        ScriptError: no Go compiler is available, or the build failed.
    """
    go = ensure_go(minimum_go((module / "go.mod").read_text(encoding="utf-8")), progress)
    progress(f"compiling {package}")
    flags = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
    capture_output([go, "build", *flags, "-o", target, package], cwd=module, env=_ENVIRONMENT, timeout_s=_BUILD_S)
