"""The command's root: which commands there are, and what an error becomes.

Torch is imported inside the commands, so that help and refusals come at once.
"""

import json
import os
import sys
import traceback
from importlib.util import find_spec
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from optout.errors import OptoutError, UsageError
from trainer.cli import audit, init, recheck, recipe, train

__all__ = ["app", "main", "run"]

_INTERRUPTED = 130
_BUG = 70

app = typer.Typer(
    name="trainer",
    help=(
        "Train text-to-image diffusion models on what a receipt covers, and on nothing else.\n\n"
        "The model carries the receipt, a card, and a signed statement of what it was trained on."
    ),
    epilog="Exit codes: 0 holds, 1 the data may not be trained on, 2 wrong usage, 3 bad input.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train_command)
app.command("init")(init.init_command)
app.command("recheck")(recheck.recheck_command)
app.command("recipe")(recipe.recipe_command)
app.command("exam")(recipe.exam_command)
app.command("audit")(audit.audit_command)


def main() -> NoReturn:
    """Run the command and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def _require_libraries() -> None:
    """Raises UsageError where what the trainer stands on is not installed (`trainer_not_installed`)."""
    missing = [name for name in ("torch", "diffusers", "accelerate") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"this Python has no {' and no '.join(missing)}; the trainer runs in the environment that "
            "`make run` or `make demo` sets up: . .venv/bin/activate",
            code="trainer_not_installed",
        )


def run(arguments: list[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    as_json = "--json" in arguments
    try:
        _require_libraries()
        code = typer.main.get_command(app).main(arguments, prog_name="trainer", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except OptoutError as error:
        return _fail(error.code, str(error), error.exit_code, as_json=as_json)
    except TyperException as error:
        return _fail("usage", error.format_message(), 2, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo(
            "trainer: interrupted; run the same command again to go on from the last checkpoint", err=True
        )
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001
        # A fault of the program must not look like "may not be trained on".
        traceback.print_exc()
        return _BUG


def _fail(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    if message:
        typer.echo(f"trainer: {message}", err=True)
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": message}}))
    return exit_code
