"""Docker's manifest for OCI archives, so that both `docker load` and OCI tools read them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any


def add_docker_manifest(archive: Path, reference: str) -> None:
    """Add the `manifest.json` that `docker save` writes, which contains the image's name.

    Args:
        archive: an OCI archive with one image.
        reference: the image's name.
    """
    with tarfile.open(archive) as tar:
        (entry,) = _read_json(tar, "index.json")["manifests"]
        manifest = _read_json(tar, _blob_path(entry))
    layers = [_blob_path(layer) for layer in manifest["layers"]]
    content = [{"Config": _blob_path(manifest["config"]), "RepoTags": [reference], "Layers": layers}]
    text = json.dumps(content).encode()
    member = tarfile.TarInfo("manifest.json")
    member.size = len(text)
    with tarfile.open(archive, "a") as tar:
        tar.addfile(member, io.BytesIO(text))


def _read_json(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    return json.load(member) if member else {}


def _blob_path(descriptor: dict[str, str]) -> str:
    """Return the path of the blob of an OCI descriptor."""
    return "blobs/" + descriptor["digest"].replace(":", "/")
