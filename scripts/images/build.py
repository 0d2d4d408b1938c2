"""Builds the images of the local cluster: `python3 -m images.build [NAME…]` in scripts/, or `build_all` from a script.

Archives lie in the cache as `images/DIGEST/NAME.tar`, where the digest stands for everything the image is made of: what
has not changed is there already, and an interrupted build leaves nothing that looks like one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.debian import install_packages, missing_packages
from common.errors import ScriptError, run_script
from common.files import whole_folder
from common.mutex import only_one_run
from common.paths import REPOSITORY, cache_folder
from common.run import Say
from common.steps import Steps
from images.access import access_folder
from images.archive import add_docker_manifest
from images.builder import Builder, builder_in
from images.program import compile_program
from images.recipes import ON_DEMAND, RECIPES, Recipe
from images.rootfs import make_rootfs

_KNOWN = {**RECIPES, **ON_DEMAND}
_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}


def build_all(say: Say, names: Sequence[str] = tuple(RECIPES)) -> dict[str, Path]:
    """Build the images that are not in the cache yet.

    Args:
        say: told what is happening.
        names: which ones, by the keys of `RECIPES`, all by default, or of `ON_DEMAND`.

    Returns:
        The archive of every image by its name, in the given order.

    Raises:
        ScriptError: this user is not root, or a build failed; the message has the last lines of the command that did.
    """
    archives = {name: archive_of(_KNOWN[name]) for name in names}
    if all(archive.exists() for archive in archives.values()):
        return archives
    if os.geteuid() != 0:
        raise ScriptError("Building images needs root, for mounts and file owners: run this as root.")
    install_packages(missing_packages(_PROGRAMS), say)
    with only_one_run(cache_folder("images", "lock"), "building images", say):
        _build([_KNOWN[name] for name, archive in archives.items() if not archive.exists()], say)
    return archives


def archive_of(recipe: Recipe) -> Path:
    """Give the place of an image's archive, whether it is there or not."""
    return cache_folder("images", recipe.digest, f"{recipe.name}.tar")


def _build(recipes: Sequence[Recipe], say: Say) -> None:
    log = cache_folder("logs", "images.log")
    with access_folder() as access, builder_in(cache_folder("buildah"), log, say) as builder:
        for recipe in recipes:
            in_store = _into_store(recipe, builder, access)
            say(f"{recipe.name}: writing the archive")
            with whole_folder(archive_of(recipe).parent) as folder:
                archive = folder / archive_of(recipe).name
                builder.save(in_store, archive, recipe.reference)
                add_docker_manifest(archive, recipe.reference)


def _into_store(recipe: Recipe, builder: Builder, access: Path) -> str:
    """Build an image, before it the one beneath it, unless they are in the store; give the name it has there."""
    reference = f"{recipe.reference}-{recipe.digest}"
    if builder.has(reference):
        return reference
    arguments = {"BASE_IMAGE": _into_store(recipe.base, builder, access)} if recipe.base else {}
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _fill(context, recipe.files)
        if recipe.program:
            compile_program(recipe.program, recipe.containerfile.parent, context / "program", builder.say)
        if not recipe.base:
            make_rootfs(context / "rootfs.tar", builder.log, builder.say)
        builder.build(reference, recipe.containerfile, context, arguments, access)
    builder.keep_only(reference)
    return reference


def _fill(context: Path, files: Iterable[Path]) -> None:
    """Copy files to where they are in the checkout; what is not among them cannot get into the image."""
    for file in files:
        copy = context / file.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def main() -> int:
    """Build the images named on the command line, all by default, and print where their archives are."""
    parser = ArgumentParser(prog="python3 -m images.build", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"an image: {', '.join(_KNOWN)}; by default all that the cluster needs"
    )
    names = parser.parse_args().names or list(RECIPES)
    unknown = [name for name in names if name not in _KNOWN]
    if unknown:
        parser.error(f"no such image: {', '.join(unknown)}; there are {', '.join(_KNOWN)}")
    with Steps().step("Build the images") as step:
        archives = build_all(step.detail, names)
    for archive in archives.values():
        sys.stdout.write(f"{archive}\n")
    return 0


if __name__ == "__main__":
    run_script(main)
