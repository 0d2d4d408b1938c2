"""Import of image archives into the node's containerd."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from common.command import Progress, capture_output, run_logged
from common.errors import ScriptError
from common.files import compute_sha256, write_atomically
from local_cluster.cluster_paths import ClusterPaths

_IMPORT_S = 900.0


def ctr_command(paths: ClusterPaths) -> tuple[str, ...]:
    """Return the ctr command for the cluster's containerd, in the namespace of Kubernetes' images."""
    return ("ctr", "--address", str(paths.containerd_socket), "--namespace", "k8s.io")


def load_archives(paths: ClusterPaths, archives: Iterable[Path], progress: Progress) -> None:
    """Import the images of archives, except those that are already imported.

    Args:
        paths: the cluster's files.
        archives: in the format of `docker save` or `buildah push docker-archive:`.
        progress: called with the image that is being imported.

    Raises:
        ScriptError: an archive has another format, or the import failed.
    """
    for archive in archives:
        names, digest = read_image_names(archive), _archive_digest(paths, archive)
        imported = _read(_import_record(paths))
        present = set(capture_output((*ctr_command(paths), "images", "list", "--quiet")).split())
        if all(imported.get(name) == digest and name in present for name in names):
            continue
        progress(f"{', '.join(names)} ({archive.stat().st_size / 1e6:.0f} MB)")
        run_logged((*ctr_command(paths), "images", "import", archive), paths.log("images"), timeout_s=_IMPORT_S)
        _save(_import_record(paths), imported | dict.fromkeys(names, digest))


def read_image_names(archive: Path) -> list[str]:
    """Return the names of the images in an archive.

    Raises:
        ScriptError: the file is missing or has another format, or its images have no name.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            images = json.load(member) if member else []
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ScriptError(f"{archive} is not an image archive of `docker save`: {error}.") from error
    names = [name for image in images for name in image.get("RepoTags") or []]
    if not names:
        raise ScriptError(f"The images in {archive} have no name. Save them with a name, like localhost/mine:1.")
    return names


def _archive_digest(paths: ClusterPaths, archive: Path) -> str:
    """Return an archive's SHA-256; computed again only if the file has changed, because archives are large."""
    path, status = str(archive.resolve()), archive.stat()
    version = f"{status.st_size} bytes, changed {status.st_mtime_ns}: "
    file = paths.containerd / "archives.json"
    digests = _read(file)
    if not digests.get(path, "").startswith(version):
        digests[path] = version + compute_sha256(archive)
        _save(file, digests)
    return digests[path].removeprefix(version)


def _import_record(paths: ClusterPaths) -> Path:
    """Return the file that records the archive digest of each imported image."""
    return paths.containerd / "loaded.json"


def _read(file: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def _save(file: Path, content: dict[str, str]) -> None:
    write_atomically(file, json.dumps(content, indent=2) + "\n")
