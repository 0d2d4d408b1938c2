"""The cluster's programs and the Go compiler that builds them."""

from __future__ import annotations

import re

import pytest

from local_cluster import go, toolchain


def test_every_program_is_a_tool_of_the_go_module() -> None:
    go_mod = (toolchain.SOURCES / "go.mod").read_text()
    block = re.search(r"^tool \(\n(.*?)^\)", go_mod, re.MULTILINE | re.DOTALL)
    assert block
    assert sorted(toolchain.TOOLS.values()) == sorted(block[1].split())


def test_kubernetes_programs_match_the_common_binary() -> None:
    source = (toolchain.SOURCES / "kube/main.go").read_text()
    assert sorted(re.findall(r'"(kube[a-z-]*)"[: ]', source)) == sorted(toolchain.KUBERNETES)


GO_MOD = """module example.test/toolchain

go 1.26.0

require (
\thelm.sh/helm/v4 v4.3.1 // indirect
\tk8s.io/kubernetes v1.37.2
)
"""


def test_versions_are_read_from_go_mod() -> None:
    assert toolchain.minimum_go(GO_MOD) == (1, 26, 0)
    assert toolchain.linker_version_flags(GO_MOD).split(" -X ") == [
        "-s -w",
        "helm.sh/helm/v4/internal/version.version=v4.3.1",
        "k8s.io/component-base/version.gitVersion=v1.37.2",
        "k8s.io/component-base/version.gitTreeState=clean",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=37",
        "k8s.io/client-go/pkg/version.gitVersion=v1.37.2",
        "k8s.io/client-go/pkg/version.gitTreeState=clean",
        "k8s.io/client-go/pkg/version.gitMajor=1",
        "k8s.io/client-go/pkg/version.gitMinor=37",
    ]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64\n", (1, 26, 8)),
        ("go version go1.27 linux/arm64\n", (1, 27, 0)),
        ("go version go1.27rc1 linux/amd64\n", (0,)),
        ("go version devel +abc linux/amd64\n", (0,)),
    ],
)
def test_go_compiler_version_is_parsed(text: str, version: tuple[int, ...]) -> None:
    assert go.parse_go_version(text) == version
