"""Load kubeconfigs that use an exec plugin, with a timeout and errors.

The client library runs the plugin without a timeout. If the plugin fails, the library only logs the failure and
continues without credentials.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kubernetes import client, config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from kpo_platform.errors import ClusterError, Unreachable
from kpo_platform.kube.child_processes import kill_processes
from kpo_platform.kube.deadline import Deadline, run_with_timeout

_MIN_SECONDS = 1.0  # enough to load a kubeconfig without a plugin
_MARK_VARIABLE = "KPO_PLATFORM_EXEC_PLUGIN"

_RefreshHook = Callable[[client.Configuration], None]


def load_with_exec_plugin(deadline: Deadline, file: str, context: str | None, settings: client.Configuration) -> None:
    """Load a kubeconfig and run its exec plugin, which is killed when it times out.

    Args:
        deadline: the deadline of the plugin, also when its credentials expire and it runs again.
        file: the kubeconfig.
        context: the file's context; by default the current one.
        settings: the client's settings; this function fills them in.

    Raises:
        ClusterError: the plugin failed or timed out.
        Exception: whatever the library raises for a file that it cannot load.
    """
    plugin = _ExecPlugin(deadline, file, context)
    with _mark_child_processes() as mark:
        try:
            message = plugin.run(lambda: config.load_kube_config(file, context, settings, persist_config=False))
        except Unreachable:
            kill_processes(mark)
            raise
    if message and not settings.api_key and not settings.cert_file:
        raise plugin.build_error(message)
    if refresh := settings.refresh_api_key_hook:
        settings.refresh_api_key_hook = _wrap_refresh_hook(plugin, refresh)


def _wrap_refresh_hook(plugin: _ExecPlugin, refresh: _RefreshHook) -> _RefreshHook:
    def refresh_or_raise(settings: client.Configuration) -> None:
        if message := plugin.run(lambda: refresh(settings)):
            raise plugin.build_error(message)
        settings.refresh_api_key_hook = refresh_or_raise  # the library has set its own hook again

    return refresh_or_raise


@dataclass(frozen=True)
class _ExecPlugin:
    """The exec plugin of a kubeconfig's context, with a deadline."""

    deadline: Deadline
    file: str
    context: str | None

    def run(self, function: Callable[[], None]) -> str:
        """Call a function of the library that runs the plugin; return what the library logs."""
        seconds = max(self.deadline.remaining_seconds(), _MIN_SECONDS)
        messages: list[str] = []

        def run_function() -> None:
            with _capture_log(messages):
                function()

        try:
            run_with_timeout(seconds, run_function)
        except TimeoutError:
            raise Unreachable(
                f"Cannot use kubeconfig {self.file}: {self} timed out after {seconds:.0f} s. "
                "Log in first or raise --timeout."
            ) from None
        return " ".join(" ".join(messages).split()).removeprefix("exec: ").rstrip(".")[:300]

    def build_error(self, message: str) -> ClusterError:
        """Build the error for a message of the library."""
        is_missing = "No such file" in message
        fix = "Install it, or pass another context with --context" if is_missing else "Log in again"
        return ClusterError(f"Cannot use kubeconfig {self.file}: {self} failed ({message}). {fix}.")

    def __str__(self) -> str:
        return f"exec plugin {self._command()}".rstrip()

    def _command(self) -> str:
        with suppress(Exception):  # the command is only part of an error message
            merged = KubeConfigMerger(self.file).config
            user = KubeConfigLoader(merged, active_context=self.context).current_context["context"]["user"]
            return str(merged["users"].get_with_name(user)["user"]["exec"]["command"])
        return ""


@contextmanager
def _capture_log(messages: list[str]) -> Iterator[None]:
    """Capture what this thread logs through the root logger, where the library reports a failed plugin."""
    thread = threading.get_ident()

    def capture(record: logging.LogRecord) -> bool:
        if record.thread == thread:
            messages.append(record.getMessage())
        return record.thread != thread

    handler = logging.NullHandler()  # without a handler, the first record would call logging.basicConfig
    logging.root.addHandler(handler)
    logging.root.addFilter(capture)
    try:
        yield
    finally:
        logging.root.removeFilter(capture)
        logging.root.removeHandler(handler)


@contextmanager
def _mark_child_processes() -> Iterator[str]:
    """Set an environment variable by which child processes started in the context can be found."""
    mark = secrets.token_hex(8)
    os.environ[_MARK_VARIABLE] = mark
    try:
        yield f"{_MARK_VARIABLE}={mark}"
    finally:
        os.environ.pop(_MARK_VARIABLE, None)
