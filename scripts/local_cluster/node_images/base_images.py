"""The two images that every cluster requires, built from static Debian programs.

pause holds a pod's namespaces; busybox creates and removes the folders of volumes, and tests use it. (Debian's busybox
crashes on `wget -T`; `timeout 3 wget` works.)
"""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from common.command import capture_output
from common.debian import unpack_package
from common.errors import ScriptError
from common.files import atomic_folder, hash_files
from common.paths import cache_path
from common.steps import Steps
from local_cluster.node_images import docker_archive
from local_cluster.node_images.docker_archive import Entry, Image, write_archive

PAUSE = "localhost/kpo-platform/pause:1"
BUSYBOX = "localhost/kpo-platform/busybox:1.35"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"


def build_base_images(steps: Steps) -> list[Path]:
    """Build both images unless the cache contains them, and return their archives.

    Raises:
        ScriptError: a download failed, or this processor is not supported.
    """
    digest = hash_files([Path(__file__), Path(docker_archive.__file__)])
    folder = cache_path("base-images", digest)
    if not folder.exists():
        with steps.step("Build the images pause and busybox"), atomic_folder(folder) as draft:
            _build(draft)
    return sorted(folder.glob("*.tar"))


def _build(folder: Path) -> None:
    architecture = _architecture()
    with tempfile.TemporaryDirectory() as programs:
        unpack_package("catatonit", Path(programs, "catatonit"))
        unpack_package("busybox-static", Path(programs, "busybox"))
        write_archive(_pause(Path(programs, "catatonit/usr/bin/catatonit"), architecture), folder / "pause.tar")
        write_archive(_busybox(Path(programs, "busybox/bin/busybox"), architecture), folder / "busybox.tar")


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise ScriptError(f"Cannot build images for processor {machine}: supported are {', '.join(_ARCHITECTURES)}.")
    return _ARCHITECTURES[machine]


def _pause(catatonit: Path, architecture: str) -> Image:
    program = Entry("pause", content=catatonit.read_bytes())
    return Image(PAUSE, [program], architecture, {"Entrypoint": ["/pause", "-P"], "User": "65535:65535"})


def _busybox(busybox: Path, architecture: str) -> Image:
    folders = [
        Entry(path, folder=True) for path in ("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var")
    ]
    entries = [
        *folders,
        Entry("root", 0o700, folder=True),
        Entry("tmp", 0o1777, folder=True),
        Entry("etc/passwd", 0o644, _USERS.encode()),
        Entry("etc/group", 0o644, _GROUPS.encode()),
        Entry("bin/busybox", content=busybox.read_bytes()),
        *(Entry(f"bin/{applet}", 0o777, link_to="busybox") for applet in _applets(busybox)),
        Entry("usr/bin/env", 0o777, link_to="../../bin/env"),
    ]
    return Image(BUSYBOX, entries, architecture, {"Env": [_PATH], "Cmd": ["sh"]})


def _applets(busybox: Path) -> list[str]:
    return [applet for applet in capture_output((busybox, "--list")).split() if applet != "busybox"]
