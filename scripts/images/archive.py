"""Archives that every tool can load: an OCI layout and Docker's table of contents, as `docker save` writes them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any


def add_docker_manifest(archive: Path, reference: str) -> None:
    """Add the `manifest.json` in which Docker, and whoever wants to know the image's name, looks it up.

    Args:
        archive: an OCI archive that holds one image.
        reference: the image's name.
    """
    with tarfile.open(archive) as tar:
        (entry,) = _json(tar, "index.json")["manifests"]
        manifest = _json(tar, _path_of(entry))
    layers = [_path_of(layer) for layer in manifest["layers"]]
    content = [{"Config": _path_of(manifest["config"]), "RepoTags": [reference], "Layers": layers}]
    text = json.dumps(content).encode()
    member = tarfile.TarInfo("manifest.json")
    member.size = len(text)
    with tarfile.open(archive, "a") as tar:
        tar.addfile(member, io.BytesIO(text))


def _json(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    return json.load(member) if member else {}


def _path_of(descriptor: dict[str, str]) -> str:
    """Give the path of what an OCI descriptor describes."""
    return "blobs/" + descriptor["digest"].replace(":", "/")
