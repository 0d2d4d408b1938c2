"""How this machine gets at packages: proxies, mirrors and certificates, carried into builds but never into images.

Builds see them as the folder `/mnt`, mounted while they last. It is made in memory and readable by root only, for the
address of a package index may hold a password.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from images.apt import apt_settings, apt_sources

# A folder that every Debian has, so that mounting on it leaves no trace in the image.
MOUNT = "/mnt"
_CERTIFICATES = f"{MOUNT}/certificates.pem"

_HANDED_ON = re.compile(r"(PIP|UV)_\w*(INDEX|HOST|TIMEOUT|TLS)\w*")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_PIP_CONFIGS = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
_PIP_KEYS = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST"}
# uv reads neither pip's variables nor its files.
_UV_FROM_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST": "PIP_TRUSTED_HOST",
}
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_DEBIAN_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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


def package_variables() -> dict[str, str]:
    """Give the environment variables with which pip and uv find packages as this machine is set up to find them."""
    bundle = certificates(os.environ)
    # uv brings certificates of its own and does not look at those of the machine unless it is told to.
    trusted = {"PIP_CERT": str(bundle), "SSL_CERT_FILE": str(bundle)} if bundle else {}
    return chosen_variables(os.environ, pip_settings(_PIP_CONFIGS)) | trusted


def chosen_variables(environment: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Pick the environment variables that say where pip and uv get packages, and through which proxy.

    Args:
        environment: the variables of a process.
        pip: the same as pip's configuration files have it; the environment is stronger.
    """
    chosen = {**pip, **{name: value for name, value in environment.items() if _HANDED_ON.fullmatch(name)}}
    for name in _PROXIES:
        value = environment.get(name) or environment.get(name.upper())
        if value:
            chosen |= {name: value, name.upper(): value}
    for uv, name in _UV_FROM_PIP.items():
        if name in chosen:
            chosen.setdefault(uv, chosen[name])
    return dict(sorted(chosen.items()))


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


def pip_settings(files: Iterable[str]) -> dict[str, str]:
    """Read where pip gets packages from its configuration files, as the environment variables of the same meaning.

    Args:
        files: their paths, the weakest first; `~` is the home folder, what does not exist is passed over.
    """
    config = configparser.RawConfigParser()
    config.read([Path(file).expanduser() for file in files], encoding="utf-8")
    sections = [config[name] for name in ("global", "install") if config.has_section(name)]
    found = {key: value for section in sections for key, value in section.items()}
    return {name: " ".join(found[key].split()) for key, name in _PIP_KEYS.items() if key in found}


def certificates(environment: Mapping[str, str]) -> Path | None:
    """Give the file of certificate authorities that this machine trusts, or None if it has none of its own."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    return next((Path(file) for file in (*named, _DEBIAN_BUNDLE) if Path(file).is_file()), None)


def _apt_settings_of_builds(with_certificates: bool) -> str:
    settings = {"Dir::Etc::SourceList": f"{MOUNT}/sources.list", "Dir::Etc::SourceParts": "/dev/null"}
    if with_certificates:
        settings["Acquire::https::CAInfo"] = _CERTIFICATES
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())
