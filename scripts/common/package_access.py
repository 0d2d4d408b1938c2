"""How pip and uv find packages on this machine: indexes, proxies and certificates, as it is set up."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

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
