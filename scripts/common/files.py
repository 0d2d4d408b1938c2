"""Files that are either whole or absent, and names made of contents."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file so that no reader and no interruption ever sees half of it.

    Args:
        path: the file; missing parent folders are made.
        text: its whole content.
        mode: its permission bits, in force before the content is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty draft folder that becomes `folder` when the block ends well, and vanishes otherwise.

    Drafts that a killed run left behind are swept first, so two runs must not build the same folder at
    once (see `common.mutex`).

    Args:
        folder: where the result shall appear; what stands there is replaced.
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


def digest_of_files(files: Iterable[Path], *extra: str) -> str:
    """Give 16 hexadecimal digits that change with the names or contents of files, or with extra words.

    Args:
        files: the files, in an order that is always the same.
        extra: whatever else decides the result that is named by the digest.
    """
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    digest.update("\0".join(extra).encode())
    return digest.hexdigest()[:16]


def sha256_of(file: Path) -> str:
    """Give the SHA-256 of a file's content in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
