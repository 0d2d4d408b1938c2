"""Image archives of scripts/local_cluster: reproducible output and validated input."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from common.errors import ScriptError
from local_cluster.node_images.docker_archive import Entry, Image, write_archive
from local_cluster.node_images.image_import import read_image_names

IMAGE = Image(
    "localhost/kpo-platform/tiny:1",
    [Entry("bin", folder=True), Entry("bin/tool", content=b"#!"), Entry("bin/link", 0o777, link_to="tool")],
    "amd64",
    {"Entrypoint": ["/bin/tool"]},
)


def test_image_archive_contains_name_and_content_digests(tmp_path: Path) -> None:
    write_archive(IMAGE, tmp_path / "tiny.tar")
    with tarfile.open(tmp_path / "tiny.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(members["manifest.json"])
    layer, config = members[manifest["Layers"][0]], members[manifest["Config"]]
    assert read_image_names(tmp_path / "tiny.tar") == manifest["RepoTags"] == ["localhost/kpo-platform/tiny:1"]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/bin/tool"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert [(file.name, file.type, file.mode, file.linkname) for file in files] == [
            ("bin", tarfile.DIRTYPE, 0o755, ""),
            ("bin/tool", tarfile.REGTYPE, 0o755, ""),
            ("bin/link", tarfile.SYMTYPE, 0o777, "tool"),
        ]


def test_equal_images_give_equal_archives(tmp_path: Path) -> None:
    write_archive(IMAGE, tmp_path / "one.tar")
    write_archive(IMAGE, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_file_in_another_format_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(ScriptError, match=r"letter\.txt is not an image archive"):
        read_image_names(tmp_path / "letter.txt")
