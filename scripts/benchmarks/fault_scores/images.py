"""Images that only the registry has; their names are new in each run, because the node keeps what it has pulled."""

from __future__ import annotations

import secrets
from typing import Any

from stack.registry import Registry, busybox_archive

_RUN = secrets.token_hex(3)

LATE_IMAGE = f"late-{_RUN}/tool"
"""An image like that of the other pods."""

ARM_IMAGE = f"arm-{_RUN}/tool"
"""An image for another processor only."""

NAMED_USER_IMAGE = f"named-{_RUN}/tool"
"""An image with a user that does not exist in it."""

OTHER_FOLDER_IMAGE = f"folder-{_RUN}/tool"
"""An image whose working directory is a file."""

EMPTY_IMAGE = f"empty-{_RUN}/tool"
"""An image without a command."""

LOGIN_SECRET = "faults-login"
"""The pull secret of the registry in every namespace."""

_TEXT = "note.txt"
_TAGS = tuple(str(number) for number in range(1, 10))
_CHANGES: dict[str, dict[str, Any]] = {
    LATE_IMAGE: {},
    NAMED_USER_IMAGE: {"config": {"User": f"user-{_RUN}"}},
    OTHER_FOLDER_IMAGE: {"config": {"WorkingDir": f"/{_TEXT}"}},
    EMPTY_IMAGE: {"config": {"Cmd": None, "Entrypoint": None}},
}


def push_images(registry: Registry) -> None:
    """Push every image with the tags 1 to 9."""
    for repository, changes in _CHANGES.items():
        for tag in _TAGS:
            registry.push_image(repository, tag, busybox_archive(), {_TEXT: repository}, changes)
    changes = {"architecture": "arm64"}
    image = registry.push_image(ARM_IMAGE, "arm64", busybox_archive(), {_TEXT: ARM_IMAGE}, changes)
    for tag in _TAGS:
        registry.push_index(ARM_IMAGE, tag, image, "arm64")
