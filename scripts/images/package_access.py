"""Package access of image builds: this machine's proxies, mirrors and certificates.

Builds mount them as the folder `/mnt`, so that no image contains them. The folder is in memory and readable by root
only, because the address of a package index can contain a password.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.package_index import find_ca_bundle, package_index_variables
from images.apt import read_apt_settings, read_apt_sources

# A folder that exists on every Debian: mounting on it leaves no trace in the image.
MOUNT = "/mnt"
_CERTIFICATES = f"{MOUNT}/certificates.pem"


@contextmanager
def package_access_folder() -> Iterator[Path]:
    """Yield a folder for builds to mount; it is deleted after the block.

    Raises:
        ScriptError: apt does not list this machine's package sources, or they do not contain Debian 12.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as private:
        folder = Path(private, "access")
        folder.mkdir()
        bundle = find_ca_bundle(os.environ)
        if bundle:
            shutil.copyfile(bundle, folder / "certificates.pem")
        (folder / "env").write_text(format_shell_exports(package_index_variables(), bool(bundle)), encoding="utf-8")
        (folder / "apt.conf").write_text(read_apt_settings() + _build_apt_settings(bool(bundle)), encoding="utf-8")
        (folder / "sources.list").write_text(read_apt_sources(), encoding="utf-8")
        yield folder


def format_shell_exports(variables: Mapping[str, str], has_ca_bundle: bool) -> str:
    """Return a shell script that exports variables and the paths of the mounted files.

    Args:
        variables: name → value.
        has_ca_bundle: whether the folder contains a file of CA certificates.
    """
    files = {"APT_CONFIG": f"{MOUNT}/apt.conf"}
    if has_ca_bundle:
        files |= {"PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in {**variables, **files}.items())


def _build_apt_settings(has_ca_bundle: bool) -> str:
    settings = {"Dir::Etc::SourceList": f"{MOUNT}/sources.list", "Dir::Etc::SourceParts": "/dev/null"}
    if has_ca_bundle:
        settings["Acquire::https::CAInfo"] = _CERTIFICATES
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())
