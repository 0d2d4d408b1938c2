"""The error of all scripts, and the wrapper of main functions that prints it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from common.interrupt import handle_interrupts

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class ScriptError(Exception):
    """A failure for the user: `<subject> <verb>: <cause>. <fix>.`, printed without a traceback."""


def run_script(main: Callable[[], int]) -> NoReturn:
    """Run a script's main function and exit with its exit code.

    A `ScriptError` becomes a message on stderr and exit code 1, Ctrl-C or SIGTERM a message and exit code 130.
    A closed pipe (`… | head`) ends the script without a message with 141, as shell tools do.

    Args:
        main: the script's main function; returns the exit code.
    """
    handle_interrupts()
    try:
        code = main()
        sys.stdout.flush()
    except ScriptError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        print("Interrupted. Run the command again to continue.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout at exit, which would fail again on the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    sys.exit(code)
