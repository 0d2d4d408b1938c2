"""How this machine gets at packages: proxies, mirrors and certificates, carried into builds but never into images.

Builds see them as the folder `/mnt`, mounted while they last. It is made in memory and readable by root only, for the
address of a package index may hold a password.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.package_access import certificates, package_variables
from images.apt import apt_settings, apt_sources

# A folder that every Debian has, so that mounting on it leaves no trace in the image.
MOUNT = "/mnt"
_CERTIFICATES = f"{MOUNT}/certificates.pem"


@contextmanager
def access_folder() -> Iterator[Path]:
    """Give a folder for builds to mount; it vanishes with the block.

    Raises:
        ScriptError: apt could not be asked for this machine's package sources, or they have no Debian 12.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as private:
        folder = Path(private, "access")
        folder.mkdir()
        bundle = certificates(os.environ)
        if bundle:
            shutil.copyfile(bundle, folder / "certificates.pem")
        (folder / "env").write_text(shell_exports(package_variables(), bool(bundle)), encoding="utf-8")
        (folder / "apt.conf").write_text(apt_settings() + _apt_settings_of_builds(bool(bundle)), encoding="utf-8")
        (folder / "sources.list").write_text(apt_sources(), encoding="utf-8")
        yield folder


def shell_exports(variables: Mapping[str, str], with_certificates: bool) -> str:
    """Write a shell script that exports variables, and those that point at the files beside it in the mounted folder.

    Args:
        variables: by name.
        with_certificates: whether a file of certificate authorities is among the files.
    """
    files = {"APT_CONFIG": f"{MOUNT}/apt.conf"}
    if with_certificates:
        files |= {"PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in {**variables, **files}.items())


def _apt_settings_of_builds(with_certificates: bool) -> str:
    settings = {"Dir::Etc::SourceList": f"{MOUNT}/sources.list", "Dir::Etc::SourceParts": "/dev/null"}
    if with_certificates:
        settings["Acquire::https::CAInfo"] = _CERTIFICATES
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())
