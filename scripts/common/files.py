"""Atomic writes of files and folders, and content hashes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file atomically.

    Args:
        path: the file; missing parent folders are created.
        text: the complete content.
        mode: permission bits, set before the content is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty draft folder; rename it to `folder` if the block succeeds, else delete it.

    Drafts of killed runs are deleted first, so two runs must not build the same folder at the same time (see
    `common.mutex`).

    Args:
        folder: path of the result; an existing folder is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}.draft-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.draft-", dir=folder.parent))
    try:
        draft.chmod(0o755)
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def hash_files(files: Iterable[Path], *extra: str) -> str:
    """Return 16 hexadecimal digits that change with file names, file contents or extra words.

    Args:
        files: the files, in a stable order.
        extra: other inputs, such as settings.
    """
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    digest.update("\0".join(extra).encode())
    return digest.hexdigest()[:16]


def compute_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
