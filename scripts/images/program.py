"""Go programs that an image carries, compiled outside of it: the base image has no compiler that is new enough."""

from __future__ import annotations

from pathlib import Path

from common.run import Say, capture
from local_cluster.go import ensure_go
from local_cluster.toolchain import minimum_go

_BUILD_S = 900.0
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def compile_program(package: str, module: Path, target: Path, say: Say) -> None:
    """Compile a package into one file that runs anywhere.

    Args:
        package: the path of the package, one of the `tool` lines of the module's go.mod.
        module: the folder of go.mod and go.sum.
        target: the program's file.
        say: told what is happening.

    Raises:
        ScriptError: there is no Go compiler to be had, or the build failed.
    """
    go = ensure_go(minimum_go((module / "go.mod").read_text(encoding="utf-8")), say)
    say(f"compiling {package}")
    flags = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
    capture([go, "build", *flags, "-o", target, package], cwd=module, env=_ENVIRONMENT, timeout_s=_BUILD_S)
