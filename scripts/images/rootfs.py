"""A minimal Debian 12 as a tar of files, from the package sources of this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from common.run import Say, run_logged
from images.apt import SUITE, apt_settings, apt_sources

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/i18n/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_KEPT = ("/usr/share/doc/*/copyright",)
# What mmdebstrap leaves behind that tells of this machine: where it gets packages, its name and its name servers.
_TRACES = ("apt/sources.list", "apt/sources.list.d/*", "apt/apt.conf.d/99mmdebstrap", "hostname", "resolv.conf")

SETTINGS = (
    "--variant=apt",
    *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
    *(f"--dpkgopt=path-include={path}" for path in _KEPT),
    *(f'--customize-hook=rm -f "$1"/etc/{path}' for path in _TRACES),
    SUITE,
)
"""Everything, beside the packages themselves, that decides what is in it."""


def make_rootfs(tar: Path, log: Path, say: Say) -> None:
    """Make the file system of a minimal Debian 12: what is essential, and apt; no manuals, no translations.

    Args:
        tar: the file to write.
        log: takes the output of mmdebstrap.
        say: told what is happening.

    Raises:
        ScriptError: this machine's package sources have no Debian 12, or a package could not be fetched.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # mmdebstrap works in there, also as apt's own user
        settings, sources = Path(folder, "apt.conf"), Path(folder, "sources.list")
        settings.write_text(apt_settings(), encoding="utf-8")
        sources.write_text(apt_sources(), encoding="utf-8")
        options = ("--mode=root", "--format=tar", f"--aptopt={settings}", *SETTINGS)
        run_logged(("mmdebstrap", *options, tar, sources), log, timeout_s=900, env={"TMPDIR": folder}, say=say)
