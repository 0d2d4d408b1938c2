"""Package index settings of this machine for pip and uv: indexes, proxies and certificates."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_PASSED_VARIABLES = re.compile(r"(PIP|UV)_\w*(INDEX|HOST|TIMEOUT|TLS)\w*")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_PIP_CONFIGS = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
_PIP_KEYS = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST"}
# uv reads neither pip's variables nor pip's files.
_UV_FROM_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST": "PIP_TRUSTED_HOST",
}
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_DEBIAN_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def package_index_variables() -> dict[str, str]:
    """Return the environment variables that make pip and uv use this machine's package settings."""
    bundle = find_ca_bundle(os.environ)
    # uv has its own CA certificates and uses those of the machine only if a variable names them.
    trusted = {"PIP_CERT": str(bundle), "SSL_CERT_FILE": str(bundle)} if bundle else {}
    return select_variables(os.environ, read_pip_settings(_PIP_CONFIGS)) | trusted


def select_variables(environment: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Select the environment variables that set package indexes and proxies of pip and uv.

    Args:
        environment: the variables of a process.
        pip: the settings of pip's configuration files; `environment` overrides them.
    """
    chosen = {**pip, **{name: value for name, value in environment.items() if _PASSED_VARIABLES.fullmatch(name)}}
    for name in _PROXIES:
        value = environment.get(name) or environment.get(name.upper())
        if value:
            chosen |= {name: value, name.upper(): value}
    for uv, name in _UV_FROM_PIP.items():
        if name in chosen:
            chosen.setdefault(uv, chosen[name])
    return dict(sorted(chosen.items()))


def read_pip_settings(files: Iterable[str]) -> dict[str, str]:
    """Read package indexes from pip's configuration files, as the equivalent environment variables.

    Args:
        files: paths in order of increasing precedence; `~` is the home folder, missing files are skipped.
    """
    config = configparser.RawConfigParser()
    config.read([Path(file).expanduser() for file in files], encoding="utf-8")
    sections = [config[name] for name in ("global", "install") if config.has_section(name)]
    settings = {key: value for section in sections for key, value in section.items()}
    return {name: " ".join(settings[key].split()) for key, name in _PIP_KEYS.items() if key in settings}


def find_ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """Return this machine's file of trusted CA certificates, or None if it has none."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    return next((Path(file) for file in (*named, _DEBIAN_BUNDLE) if Path(file).is_file()), None)
