"""One kind of error for people, and the frame every script runs in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from common.interrupt import take_interrupts

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class ScriptError(Exception):
    """Something a person has to know: what is so, what was expected, what to do next, in one sentence."""


def run_script(main: Callable[[], int]) -> NoReturn:
    """Run a script's main function and leave the process with its exit code.

    A `ScriptError` becomes one line on stderr and exit code 1, Ctrl-C or SIGTERM one line and exit code 130;
    a reader that closed the pipe (`… | head`) ends the script quietly with 141, as the shell's own tools do.

    Args:
        main: does the work and returns the exit code.
    """
    take_interrupts()
    try:
        code = main()
        sys.stdout.flush()
    except ScriptError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        print("Interrupted; run it again to go on.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends, and would complain about the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    sys.exit(code)
