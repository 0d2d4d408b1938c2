"""bootstrap.ansible.channel: the socket for the payloads of Ansible's modules, and its directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpo_platform.bootstrap.ansible import channel, payload
from kpo_platform.errors import BootstrapError


def test_fetch_without_a_run_is_rejected(tmp_path: Path):
    with pytest.raises(BootstrapError, match="no run of platformctl serves it"):
        channel.fetch_payload(str(tmp_path / "absent.sock"), payload.OBJECTS)


def test_long_temporary_directory_without_fallback_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BootstrapError) as error, channel.create_private_directory():
        pass
    assert str(error.value) == (
        f"Cannot create a socket: the path {directory} is too long, and /tmp cannot be written. "
        "Set TMPDIR to a shorter path."
    )
