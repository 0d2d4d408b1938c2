"""Self-signed certificates of test servers."""

from __future__ import annotations

import subprocess
from pathlib import Path


def create_certificate(key: Path, trusted: Path, name: str) -> None:
    """Create a key with a self-signed certificate of a host; `key` has both, `trusted` the certificate."""
    words = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    subprocess.run([*words, *names, "-keyout", key, "-out", trusted], check=True, capture_output=True)
    key.write_text(key.read_text() + trusted.read_text())
