"""Image archives of scripts/local_cluster: made byte for byte the same, and read with care."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from common.errors import ScriptError
from local_cluster.node_images.docker_archive import Entry, Image, write_archive
from local_cluster.node_images.load import names_in

IMAGE = Image(
    "localhost/kpo-platform/tiny:1",
    [Entry("bin", folder=True), Entry("bin/tool", content=b"#!"), Entry("bin/link", 0o777, link_to="tool")],
    "amd64",
    {"Entrypoint": ["/bin/tool"]},
)


def test_an_image_archive_names_the_image_and_its_contents_by_their_digests(tmp_path: Path) -> None:
    write_archive(IMAGE, tmp_path / "tiny.tar")
    with tarfile.open(tmp_path / "tiny.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(members["manifest.json"])
    layer, config = members[manifest["Layers"][0]], members[manifest["Config"]]
    assert names_in(tmp_path / "tiny.tar") == manifest["RepoTags"] == ["localhost/kpo-platform/tiny:1"]
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


def test_the_same_image_gives_the_same_archive(tmp_path: Path) -> None:
    write_archive(IMAGE, tmp_path / "one.tar")
    write_archive(IMAGE, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_file_that_is_no_image_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(ScriptError, match=r"letter\.txt is no archive of images"):
        names_in(tmp_path / "letter.txt")
