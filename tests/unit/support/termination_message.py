"""What the kubelet of Kubernetes 1.37 reports of a container's termination message file."""

from __future__ import annotations

_OF_CONTAINER, _OF_POD = 4096, 12 * 1024


def report_message(content: bytes, containers: int) -> str:
    """Cut the content as `tail.ReadAtMost` and then `normalizeStatus` do."""
    return decode_as_go(content[-_OF_CONTAINER:][: _OF_POD // containers])


def decode_as_go(content: bytes) -> str:
    """Decode bytes as Go writes them into JSON: each byte that is not UTF-8 becomes U+FFFD."""
    text = ""
    while True:
        try:
            return text + content.decode()
        except UnicodeDecodeError as error:
            text += content[: error.start].decode() + "\ufffd"
            content = content[error.start + 1 :]
