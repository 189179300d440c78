"""The command's root: which commands there are, and what an error becomes.

Everything heavy is imported inside the commands, so that `optout --help` answers at once.
"""

import errno
import io
import json
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from optout.cli import check, embedding, filtering, hashing, keys, snapshots, verify
from optout.cli.common import complain
from optout.errors import OptoutError
from optout.processes import quiet_pillow

__all__ = ["app", "main", "run"]

_INTERRUPTED = 130
_BUG = 70
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

app = typer.Typer(
    name="optout",
    help=(
        "Find out what may not be trained on, and leave it out.\n\n"
        "Build a signed snapshot of consent claims, check single items against it, filter data sets of any "
        "size, and prove with a receipt what was done."
    ),
    epilog="Exit codes: 0 holds, 1 does not hold, 2 wrong usage, 3 bad input. Every command has --json.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"optout {version('optout')}")
        except PackageNotFoundError:
            typer.echo("optout (from a checkout)")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Typer shows the help given above."""


app.command("check")(check.check)
app.command("filter")(filtering.filter_command)
app.command("verify")(verify.verify)
app.command("hash")(hashing.hash_pictures)
app.command("embed")(embedding.embed_pictures)
app.command("keygen")(keys.keygen)
app.add_typer(snapshots.app, name="snapshot")


def main() -> NoReturn:
    """Run the command and end the process with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal has no letters for is no reason to stop.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    as_json = "--json" in arguments
    quiet_pillow()
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="optout", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except OptoutError as error:
        return _fail(error.code, str(error), error.exit_code, as_json=as_json)
    except TyperException as error:
        return _fail("usage", error.format_message(), 2, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("optout: interrupted; run the same command again to go on", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _let_go_of_output()
        return 0
    except Exception as error:  # noqa: BLE001
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            # Files are told by their names: this is standard output, on a disk that is full.
            _let_go_of_output()
            return _fail("disk_full", f"cannot write the output: {error.strerror}", 3, as_json=False)
        # A fault of the program must not look like "does not hold".
        traceback.print_exc()
        return _BUG


def _let_go_of_output() -> None:
    """Nothing more may be written when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    """One clear line on stderr; programs that asked for JSON get an object on stdout as well."""
    if message:
        # Without arguments typer has shown the help, and says nothing more.
        complain(message)
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": message}}))
    return exit_code
