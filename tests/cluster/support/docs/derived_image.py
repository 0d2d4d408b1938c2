"""An Airflow image with the package, built with the commands in docs/images.md."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from cluster.support.docs.commands import read_commands
from common.command import capture_output
from common.mutex import hold_lock
from common.paths import REPOSITORY, cache_path
from images.archive import add_docker_manifest
from images.build import archive_path
from images.builder import open_builder
from images.recipes import AIRFLOW

REPOSITORY_NAME, TAG = "localhost/kpo-platform/airflow-with-package", AIRFLOW.tag
OFFICIAL = f"FROM apache/airflow:{AIRFLOW.tag}\n"


def build_image_with_package(folder: Path) -> Path:
    """Build the image from the cluster's Airflow image, without network access.

    Args:
        folder: an empty folder for the archive and the build context.

    Returns:
        The image's archive.
    """
    context, access = folder / "context", folder / "access"
    for subfolder in (context, access):
        subfolder.mkdir()
    python, *words, place = shlex.split(read_commands("images.md", "Package in the image")[0], comments=True)
    assert (python, place) == ("python", "image")
    capture_output([sys.executable, *words, context], cwd=REPOSITORY, timeout_s=120)
    (build,) = read_commands("images.md", "Package in the image", "dockerfile")
    assert build.startswith(OFFICIAL)
    containerfile = folder / "Containerfile"
    containerfile.write_text(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n{build.removeprefix(OFFICIAL)}", encoding="utf-8")
    archive, reference = folder / "image.tar", f"{REPOSITORY_NAME}:{TAG}"
    base = {"BASE_IMAGE": f"oci-archive:{archive_path(AIRFLOW)}"}
    log = cache_path("logs", "derived-image.log")
    with (
        hold_lock(cache_path("images", "lock"), "building an image", print),
        open_builder(cache_path("buildah"), log, print) as builder,
    ):
        builder.build(reference, containerfile, context, base, access)
        builder.save_archive(reference, archive, reference)
    add_docker_manifest(archive, reference)
    return archive
