"""The root file system of a minimal Debian 12, from this machine's package sources."""

from __future__ import annotations

import tempfile
from pathlib import Path

from common.command import Progress, run_logged
from images.apt import SUITE, read_apt_settings, read_apt_sources

_EXCLUDED = ("/usr/share/doc/*", "/usr/share/i18n/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_INCLUDED = ("/usr/share/doc/*/copyright",)
# Files of mmdebstrap that reveal this machine: its package sources, its name and its name servers.
_MACHINE_FILES = ("apt/sources.list", "apt/sources.list.d/*", "apt/apt.conf.d/99mmdebstrap", "hostname", "resolv.conf")

SETTINGS = (
    "--variant=apt",
    *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED),
    *(f"--dpkgopt=path-include={path}" for path in _INCLUDED),
    *(f'--customize-hook=rm -f "$1"/etc/{path}' for path in _MACHINE_FILES),
    SUITE,
)
"""All inputs of the file system except the packages."""


def make_rootfs(tar: Path, log: Path, progress: Progress) -> None:
    """Create a minimal Debian 12 as a tar: essential packages and apt, without manuals and translations.

    Args:
        tar: the file to write.
        log: the log file for mmdebstrap's output.
        progress: called with the current activity.

    Raises:
        ScriptError: this machine's package sources do not contain Debian 12, or a download failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # mmdebstrap also accesses it as user _apt
        settings, sources = Path(folder, "apt.conf"), Path(folder, "sources.list")
        settings.write_text(read_apt_settings(), encoding="utf-8")
        sources.write_text(read_apt_sources(), encoding="utf-8")
        options = ("--mode=root", "--format=tar", f"--aptopt={settings}", *SETTINGS)
        run_logged(
            ("mmdebstrap", *options, tar, sources), log, timeout_s=900, env={"TMPDIR": folder}, progress=progress
        )
