"""The entry point of platformctl: run a command, and turn errors into a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.output import write_message
from kpo_platform.errors import PlatformError

_COMMANDS = ("bootstrap", "contract", "diagnose", "doctor", "lint", "render", "run", "teams", "version")
_HELP = """Set up and maintain teams on Airflow and Kubernetes.

\b
Exit codes: 0 success, 1 findings, 2 changes pending (only with --detailed-exitcode),
3 not completed, 64 wrong usage, 130 interrupted.

\b
Examples:
  platformctl bootstrap --dry-run        # preview the changes
  platformctl doctor                     # check the installation
  platformctl teams list
  platformctl lint dags                  # check DAG files
"""
_TRACEBACK_VARIABLE = "PLATFORMCTL_TRACEBACK"


class _Commands(click.Group):
    """Imports a command's module only when the command runs: the Kubernetes client takes half a second to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"kpo_platform.cli.{cmd_name}").command
        return command


@click.group(cls=_Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """The command group of platformctl."""


def main() -> None:
    """Run platformctl and exit."""
    # SIGTERM acts like Ctrl-C, so that files are closed and temporary files are deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name.

    Returns:
        The exit code.
    """
    try:
        return int(commands.main(arguments, prog_name="platformctl", standalone_mode=False) or Exit.OK)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        write_message("Interrupted. Completed changes are kept. Run the same command again to continue.")
        return Exit.INTERRUPTED
    except PlatformError as error:
        write_message(f"Error: {error}", "red")
        return Exit.INCOMPLETE
    except BrokenPipeError:
        # The reader closed the pipe; the interpreter must not flush stdout into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INCOMPLETE
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        write_message(
            f"Error: Bug in platformctl ({type(error).__name__}: {error}). "
            f"Run again with {_TRACEBACK_VARIABLE}=1 and report the output.",
            "red",
        )
        return Exit.INCOMPLETE


if __name__ == "__main__":
    main()
