"""buildah with a store of its own: builds Containerfiles in a chroot, keeps their layers, writes archives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from common.run import CommandError, Say, capture, run_logged
from common.waiting import NotYet, wait_for
from images.access import MOUNT

_BUILD_S = 1800.0
_SAVE_S = 600.0
_SHORT_S = 120.0


@dataclass(frozen=True)
class Builder:
    """A store of layers and what it takes to add to it.

    Attributes:
        store: the folder of the store.
        state: a folder for what buildah notes while it runs.
        log: takes buildah's output.
        say: told what is happening.
    """

    store: Path
    state: Path
    log: Path
    say: Say

    def has(self, reference: str) -> bool:
        """Tell whether the store holds an image."""
        try:
            self._ask("inspect", "--type", "image", reference)
        except CommandError:
            return False
        return True

    def build(
        self, reference: str, containerfile: Path, context: Path, arguments: Mapping[str, str], access: Path
    ) -> None:
        """Build an image into the store; layers that are there already are taken as they are.

        Args:
            reference: the name it gets in the store.
            containerfile: how it is built.
            context: the folder with the files that the Containerfile copies.
            arguments: values for the ARGs of the Containerfile; they can be read in the image's history.
            access: the folder of `images.access`, mounted while the build lasts.

        Raises:
            CommandError: a step failed; carries its last lines.
        """
        options = ("--isolation", "chroot", "--layers", "--pull-never", "--volume", f"{access}:{MOUNT}:ro")
        chosen = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = self._buildah("build", *options, *chosen, "--file", containerfile, "--tag", reference, context)
        run_logged(command, self.log, timeout_s=_BUILD_S, env=self._environment, say=self.say)

    def save(self, reference: str, archive: Path, name: str) -> None:
        """Write an image of the store as an OCI archive.

        Its layers are compressed: writing takes a little longer, and loading into containerd a third less.

        Args:
            reference: its name in the store.
            archive: the file to write.
            name: the name it has for those who load the archive.

        Raises:
            CommandError: it could not be written.
        """
        command = self._buildah("push", "--quiet", reference, f"oci-archive:{archive}:{name}")
        run_logged(command, self.log, timeout_s=_SAVE_S, env=self._environment, say=self.say)

    def keep_only(self, reference: str) -> None:
        """Take the names from all other images of the same repository; the next `sweep` removes what has none."""
        repository = reference.rpartition(":")[0]
        named = self._ask("images", "--format", "{{.Name}}:{{.Tag}}").split()
        for other in named:
            if other != reference and other.rpartition(":")[0] == repository:
                self._ask("rmi", other)

    def sweep(self) -> None:
        """Remove the containers that interrupted builds left behind, and layers that no image needs any more.

        Raises:
            NotYet: some of them are still in use.
        """
        try:
            self._ask("rm", "--all")
            self._ask("rmi", "--prune")
        except CommandError as error:
            raise NotYet(str(error)) from error

    def _ask(self, *words: str) -> str:
        return capture(self._buildah(*words), timeout_s=_SHORT_S, env=self._environment)

    def _buildah(self, *words: str | Path) -> tuple[str | Path, ...]:
        return ("buildah", "--root", self.store, "--runroot", self.state, "--storage-driver", "overlay", *words)

    @property
    def _environment(self) -> dict[str, str]:
        # buildah keeps the caches that Containerfiles mount in its folder for temporary files.
        return {"TMPDIR": str(self.store / "tmp")}


@contextmanager
def builder_in(store: Path, log: Path, say: Say) -> Iterator[Builder]:
    """Give a builder whose store is in this folder; only one may be at work in it.

    What buildah notes while it runs is wrong after a restart of the machine, so every builder begins anew.
    """
    (store / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kpo-platform-buildah-") as state:
        builder = Builder(store, Path(state), log, say)
        # A run that was killed may have left a buildah that still has to notice.
        wait_for("an interrupted build to end", builder.sweep, deadline_s=60)
        try:
            yield builder
        finally:
            with suppress(NotYet):
                builder.sweep()
