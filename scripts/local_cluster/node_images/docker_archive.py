"""Image archives that `docker load` and `ctr images import` read, written without an image builder."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A file, link or folder of an image.

    Attributes:
        path: path in the image, without a leading slash.
        mode: permission bits.
        content: content of a file.
        link_to: target of a symbolic link.
        folder: whether it is a folder.
    """

    path: str
    mode: int = 0o755
    content: bytes = b""
    link_to: str = ""
    folder: bool = False


@dataclass(frozen=True)
class Image:
    """An image with one layer.

    Attributes:
        name: name and tag.
        entries: its files, folders before their contents.
        config: its configuration in terms of the OCI image specification (`Entrypoint`, `Env`, …).
        architecture: Go's name, like `amd64`.
    """

    name: str
    entries: Sequence[Entry]
    architecture: str
    config: dict[str, object] = field(default_factory=dict)


def write_archive(image: Image, file: Path) -> None:
    """Write an image as a reproducible archive: equal images give equal bytes."""
    layer = _tar(image.entries)
    config = {
        "architecture": image.architecture,
        "os": "linux",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
    }
    config_text = json.dumps(config, sort_keys=True).encode()
    config_name, layer_name = f"{_sha256(config_text)}.json", f"{_sha256(layer)}.tar"
    manifest = [{"Config": config_name, "RepoTags": [image.name], "Layers": [layer_name]}]
    members = (
        Entry(layer_name, 0o644, layer),
        Entry(config_name, 0o644, config_text),
        Entry("manifest.json", 0o644, json.dumps(manifest).encode()),
    )
    file.write_bytes(_tar(members))


def _tar(entries: Sequence[Entry]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mode = entry.mode
            member.size = len(entry.content)
            member.linkname = entry.link_to
            if entry.folder:
                member.type = tarfile.DIRTYPE
            elif entry.link_to:
                member.type = tarfile.SYMTYPE
            archive.addfile(member, io.BytesIO(entry.content))
    return stream.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
