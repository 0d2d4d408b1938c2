"""Images on the node: what archives hold is put into containerd, once."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from common.errors import ScriptError
from common.files import sha256_of, write_whole
from common.run import Say, capture, run_logged
from local_cluster.cluster_paths import Layout

_IMPORT_S = 900.0


def ctr(layout: Layout) -> tuple[str, ...]:
    """Give the beginning of a command that speaks to the cluster's containerd, where Kubernetes looks for images."""
    return ("ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io")


def load_archives(layout: Layout, archives: Iterable[Path], say: Say) -> None:
    """Put the images of archives onto the node, unless they are just these already.

    Args:
        layout: the cluster's files.
        archives: as `docker save` or `buildah push docker-archive:` write them.
        say: told what is being loaded.

    Raises:
        ScriptError: one is no such archive, or containerd refused it.
    """
    for archive in archives:
        names, stamp = names_in(archive), _stamp(layout, archive)
        loaded = _read(_loaded_file(layout))
        present = set(capture((*ctr(layout), "images", "list", "--quiet")).split())
        if all(loaded.get(name) == stamp and name in present for name in names):
            continue
        say(f"{', '.join(names)} ({archive.stat().st_size / 1e6:.0f} MB)")
        run_logged((*ctr(layout), "images", "import", archive), layout.log("images"), timeout_s=_IMPORT_S)
        _save(_loaded_file(layout), loaded | dict.fromkeys(names, stamp))


def names_in(archive: Path) -> list[str]:
    """Give the names of the images in an archive.

    Raises:
        ScriptError: the file is not there or no such archive, or its images have no name.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            images = json.load(member) if member else []
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ScriptError(f"{archive} is no archive of images as `docker save` writes them: {error}.") from error
    names = [name for image in images for name in image.get("RepoTags") or []]
    if not names:
        raise ScriptError(f"The images in {archive} have no name: save them with one, like localhost/mine:1.")
    return names


def _stamp(layout: Layout, archive: Path) -> str:
    """Give an archive's SHA-256; read again only when the file has changed, for archives are large."""
    path, status = str(archive.resolve()), archive.stat()
    version = f"{status.st_size} bytes, changed {status.st_mtime_ns}: "
    file = layout.containerd / "archives.json"
    known = _read(file)
    if not known.get(path, "").startswith(version):
        known[path] = version + sha256_of(archive)
        _save(file, known)
    return known[path].removeprefix(version)


def _loaded_file(layout: Layout) -> Path:
    """Give the file that says which archive (by its stamp) each image on the node came from."""
    return layout.containerd / "loaded.json"


def _read(file: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def _save(file: Path, content: dict[str, str]) -> None:
    write_whole(file, json.dumps(content, indent=2) + "\n")
