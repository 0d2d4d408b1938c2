"""platformctl diagnose -f: files that have no pod, or cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.support.platformctl import Cluster, Platformctl

CANARY = "canary-7f1c9a52d8e64b0b"

BOMB = "\n".join(["a: &a0 [1]", *(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])
"""A short text with 9^11 values."""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no pod, but no object."),
        ("a: [", "is not YAML (line 1, column 5). Correct it there."),
        ("kind: Pod\nmetadata: {name: x", "is not YAML (line 2, column 19). Correct it there."),
        ("just text", "has a document that is no Kubernetes object."),
        ("- 1", "has a document that is no Kubernetes object."),
        ("kind: Service\nmetadata: {name: a}", "has no pod, but Service."),
        ("kind: Pod", "has a Pod without a name. Set metadata.name."),
        ("kind: Pod\nmetadata: {name: a, namespace: b}", "has no spec. Pass the whole manifest."),
        ("kind: Pod\nmetadata: &a {name: a, namespace: b, labels: *a}", "is not YAML that can be written as JSON."),
        (BOMB, "is not YAML that can be written as JSON."),
        ("[" * 30_000, "is not YAML"),
        ("[" * 30_000 + "]" * 30_000, "is not YAML"),
        ("kind: List\nitems: 1", "has no pod, but no object."),
        ("kind: CronJob\nmetadata: {name: a, namespace: b}", "has no spec. Pass the whole manifest."),
    ],
)
def test_file_without_a_pod_is_wrong_usage(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, text: str, problem: str
):
    file = tmp_path / "pod.yaml"
    file.write_text(text)
    result = platformctl("diagnose", "-f", str(file), *cluster.options)
    assert (result.code, result.out) == (64, "")
    assert result.err.splitlines()[-1].startswith("Error: ")
    assert problem in result.err.splitlines()[-1]
    assert cluster.server.seen == []


def test_unreadable_file_is_wrong_usage(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    names = {"missing": "No such file or directory", ".": "Is a directory", "binary": "is not text in UTF-8"}
    for name, problem in names.items():
        result = platformctl("diagnose", "-f", str(tmp_path / name), *cluster.options)
        assert (result.code, problem in result.err) == (64, True)


def test_syntax_error_does_not_show_the_file(platformctl: Platformctl, cluster: Cluster):
    result = platformctl("diagnose", "-f", "-", *cluster.options, stdin=f"password: {CANARY}: x")
    assert (result.code, CANARY in result.err) == (64, False)
