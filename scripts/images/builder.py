"""buildah with a store of its own: build Containerfiles in a chroot, keep layers, write archives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from common.command import CommandError, Progress, capture_output, run_logged
from common.polling import NotYet, wait_for
from images.package_access import MOUNT

_BUILD_S = 1800.0
_SAVE_S = 600.0
_SHORT_S = 120.0


@dataclass(frozen=True)
class Builder:
    """A store of image layers, and the buildah commands on it.

    Attributes:
        store: the folder of the store.
        state: a folder for buildah's runtime state.
        log: the log file for buildah's output.
        progress: called with the current activity.
    """

    store: Path
    state: Path
    log: Path
    progress: Progress

    def has_image(self, reference: str) -> bool:
        """Return whether the store contains an image."""
        try:
            self._capture("inspect", "--type", "image", reference)
        except CommandError:
            return False
        return True

    def build(
        self, reference: str, containerfile: Path, context: Path, arguments: Mapping[str, str], access: Path
    ) -> None:
        """Build an image into the store; layers of earlier builds are reused.

        Args:
            reference: the image's name in the store.
            containerfile: the Containerfile.
            context: the folder with the files that the Containerfile copies.
            arguments: values for the Containerfile's ARGs; the image's history contains them.
            access: the folder of `images.package_access`, mounted during the build.

        Raises:
            CommandError: a step failed; contains its last lines.
        """
        options = ("--isolation", "chroot", "--layers", "--pull-never", "--volume", f"{access}:{MOUNT}:ro")
        build_arguments = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = self._buildah(
            "build", *options, *build_arguments, "--file", containerfile, "--tag", reference, context
        )
        run_logged(command, self.log, timeout_s=_BUILD_S, env=self._environment, progress=self.progress)

    def save_archive(self, reference: str, archive: Path, name: str) -> None:
        """Write an image of the store as an OCI archive.

        Layers are compressed: that slows writing a little and speeds up loading into containerd by a third.

        Args:
            reference: the image's name in the store.
            archive: the file to write.
            name: the image's name in the archive.

        Raises:
            CommandError: the archive could not be written.
        """
        command = self._buildah("push", "--quiet", reference, f"oci-archive:{archive}:{name}")
        run_logged(command, self.log, timeout_s=_SAVE_S, env=self._environment, progress=self.progress)

    def untag_others(self, reference: str) -> None:
        """Untag all other images of the same repository; the next `prune` removes them."""
        repository = reference.rpartition(":")[0]
        references = self._capture("images", "--format", "{{.Name}}:{{.Tag}}").split()
        for other in references:
            if other != reference and other.rpartition(":")[0] == repository:
                self._capture("rmi", other)

    def prune(self) -> None:
        """Remove containers of interrupted builds, and layers that no image uses.

        Raises:
            NotYet: some are still in use.
        """
        try:
            self._capture("rm", "--all")
            self._capture("rmi", "--prune")
        except CommandError as error:
            raise NotYet(str(error)) from error

    def _capture(self, *words: str) -> str:
        return capture_output(self._buildah(*words), timeout_s=_SHORT_S, env=self._environment)

    def _buildah(self, *words: str | Path) -> tuple[str | Path, ...]:
        return ("buildah", "--root", self.store, "--runroot", self.state, "--storage-driver", "overlay", *words)

    @property
    def _environment(self) -> dict[str, str]:
        # buildah stores the cache mounts of Containerfiles in its temporary folder.
        return {"TMPDIR": str(self.store / "tmp")}


@contextmanager
def open_builder(store: Path, log: Path, progress: Progress) -> Iterator[Builder]:
    """Yield a builder with its store in this folder.

    Only one process may use the folder at a time.

    buildah's runtime state is invalid after a reboot, so every builder starts with an empty one.
    """
    (store / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kpo-platform-buildah-") as state:
        builder = Builder(store, Path(state), log, progress)
        # A buildah process of a killed run may take a moment to exit.
        wait_for("an interrupted build to end", builder.prune, deadline_s=60)
        try:
            yield builder
        finally:
            with suppress(NotYet):
                builder.prune()
