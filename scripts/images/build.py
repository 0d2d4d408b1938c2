"""Build the images of the local cluster: `python3 -m images.build [NAME…]` in scripts/, or `build_images`.

The cache contains the archives as `images/DIGEST/NAME.tar`. The digest covers all inputs of the image, so unchanged
images are not rebuilt. An interrupted build leaves no archive.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.command import Progress
from common.debian import find_missing_packages, install_packages
from common.errors import ScriptError, run_script
from common.files import atomic_folder
from common.mutex import hold_lock
from common.paths import REPOSITORY, cache_path
from common.steps import Steps
from images.archive import add_docker_manifest
from images.builder import Builder, open_builder
from images.go_program import compile_program
from images.package_access import package_access_folder
from images.recipes import OPTIONAL_RECIPES, RECIPES, Recipe
from images.rootfs import make_rootfs

_ALL_RECIPES = {**RECIPES, **OPTIONAL_RECIPES}
_REQUIRED_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}


def build_images(progress: Progress, names: Sequence[str] = tuple(RECIPES)) -> dict[str, Path]:
    """Build the images that are not in the cache.

    Args:
        progress: called with the current activity.
        names: keys of `RECIPES` (all by default) or of `OPTIONAL_RECIPES`.

    Returns:
        The archive of every image by its name, in the order of `names`.

    Raises:
        ScriptError: this user is not root, or a build failed; contains the last lines of the failed command.
    """
    archives = {name: archive_path(_ALL_RECIPES[name]) for name in names}
    if all(archive.exists() for archive in archives.values()):
        return archives
    if os.geteuid() != 0:
        raise ScriptError("Cannot build images: mounts and file owners require root. Run this as root.")
    install_packages(find_missing_packages(_REQUIRED_PROGRAMS), progress)
    with hold_lock(cache_path("images", "lock"), "building images", progress):
        _build([_ALL_RECIPES[name] for name, archive in archives.items() if not archive.exists()], progress)
    return archives


def archive_path(recipe: Recipe) -> Path:
    """Return the path of an image's archive, which may not exist."""
    return cache_path("images", recipe.digest, f"{recipe.name}.tar")


def _build(recipes: Sequence[Recipe], progress: Progress) -> None:
    log = cache_path("logs", "images.log")
    with package_access_folder() as access, open_builder(cache_path("buildah"), log, progress) as builder:
        for recipe in recipes:
            store_reference = _build_into_store(recipe, builder, access)
            progress(f"{recipe.name}: writing the archive")
            with atomic_folder(archive_path(recipe).parent) as folder:
                archive = folder / archive_path(recipe).name
                builder.save_archive(store_reference, archive, recipe.reference)
                add_docker_manifest(archive, recipe.reference)


def _build_into_store(recipe: Recipe, builder: Builder, access: Path) -> str:
    """Build an image and its base into the store; return its name there.

    Images that the store contains are not built again.
    """
    reference = f"{recipe.reference}-{recipe.digest}"
    if builder.has_image(reference):
        return reference
    arguments = {"BASE_IMAGE": _build_into_store(recipe.base, builder, access)} if recipe.base else {}
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _copy_to_context(context, recipe.files)
        if recipe.program:
            compile_program(recipe.program, recipe.containerfile.parent, context / "program", builder.progress)
        if not recipe.base:
            make_rootfs(context / "rootfs.tar", builder.log, builder.progress)
        builder.build(reference, recipe.containerfile, context, arguments, access)
    builder.untag_others(reference)
    return reference


def _copy_to_context(context: Path, files: Iterable[Path]) -> None:
    """Copy files to their paths in the checkout; the image cannot contain any other file."""
    for file in files:
        copy = context / file.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def main() -> int:
    """Build the images named on the command line and print their archives' paths."""
    parser = ArgumentParser(prog="python3 -m images.build", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"an image: {', '.join(_ALL_RECIPES)}; by default all that the cluster needs",
    )
    names = parser.parse_args().names or list(RECIPES)
    unknown = [name for name in names if name not in _ALL_RECIPES]
    if unknown:
        parser.error(f"unknown image: {', '.join(unknown)}; use one of: {', '.join(_ALL_RECIPES)}")
    with Steps().step("Build the images") as step:
        archives = build_images(step.detail, names)
    for archive in archives.values():
        sys.stdout.write(f"{archive}\n")
    return 0


if __name__ == "__main__":
    run_script(main)
