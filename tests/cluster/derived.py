"""An Airflow image with the package in it, made as docs/airflow.md tells people to: a wheel and pip."""

from __future__ import annotations

import sys
from pathlib import Path

from common.lock import only_one_run
from common.paths import REPOSITORY, cache_folder
from common.run import capture
from images.archive import add_docker_manifest
from images.build import archive_of
from images.builder import builder_in
from images.recipes import AIRFLOW

REPOSITORY_NAME, TAG = "localhost/kpo-platform/airflow-with-package", "3.3.2"
CONTAINERFILE = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY *.whl /tmp/
RUN python -m pip install --no-deps --no-index /tmp/*.whl
"""


def image_with_package(folder: Path) -> Path:
    """Build the image on the one that the cluster has; no network is needed.

    Args:
        folder: an empty one, for the archive and what it is made of.

    Returns:
        The image's archive.
    """
    context, access = folder / "context", folder / "access"
    for each in (context, access):
        each.mkdir()
    capture([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", context], cwd=REPOSITORY, timeout_s=120)
    containerfile = folder / "Containerfile"
    containerfile.write_text(CONTAINERFILE, encoding="utf-8")
    archive, reference = folder / "image.tar", f"{REPOSITORY_NAME}:{TAG}"
    base = {"BASE_IMAGE": f"oci-archive:{archive_of(AIRFLOW)}"}
    log = cache_folder("logs", "derived-image.log")
    with (
        only_one_run(cache_folder("images", "lock"), "building an image", print),
        builder_in(cache_folder("buildah"), log, print) as builder,
    ):
        builder.build(reference, containerfile, context, base, access)
        builder.save(reference, archive, reference)
    add_docker_manifest(archive, reference)
    return archive
