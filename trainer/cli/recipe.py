"""`trainer recipe` and `trainer exam`: a world small enough to see the trainer learn it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optout.cli.common import JsonOption
from optout.errors import BadInput

if TYPE_CHECKING:
    from trainer.shapes.exam import Exam

__all__ = ["exam_command", "recipe_command"]


def recipe_command(
    folder: Annotated[Path, typer.Argument(help="A new folder for it.", show_default=False)],
    pictures: Annotated[int, typer.Option("--pictures", min=1, help="How many to draw.")] = 4000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the drawing.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Draw captioned pictures by four invented artists, one of whom opts out, and write the settings.

    What is printed is the whole chain, from the artist's claim to the exam.
    """
    from trainer.shapes.recipe import write_recipe

    made = write_recipe(folder, pictures=pictures, seed=seed)
    if as_json:
        typer.echo(json.dumps({name: _plain(value) for name, value in made._asdict().items()}, indent=2))
        return 0
    typer.echo(f"{made.data}   {made.pictures:,} pictures with captions, as img2dataset writes them")
    typer.echo(f"{made.claims}   the opt-out of the artist who made {made.opted_out:,} of them")
    typer.echo(f"{made.settings}   the settings\n\nThen:")
    for line in _chain(folder):
        typer.echo(f"  {line}")
    return 0


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _chain(folder: Path) -> list[str]:
    from trainer.shapes.recipe import launch

    python, settings = (" ".join(part) for part in launch())
    trust, key = f"--trust {folder}/keys/public.pem", f"--key {folder}/keys/private.pem"
    return [
        f"optout keygen {folder}/keys",
        f"optout snapshot build {folder}/claims.jsonl {key} --out {folder}/snapshot",
        f"optout filter {folder}/data --snapshot {folder}/snapshot --use ai-train-generative --mode drop "
        f"--out {folder}/filtered {key}",
        f"python {python} train --config {folder}/trainer.toml --data {folder}/filtered {trust} "
        f"--out {folder}/model {settings}".rstrip(),
        f"optout verify {folder}/model {trust}",
        f"python -m trainer exam {folder}/model --grid {folder}/exam.png",
    ]


def exam_command(
    model: Annotated[Path, typer.Argument(help="A model that learned the recipe.", show_default=False)],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Pictures to draw, twice.")] = 40,
    grid: Annotated[
        Path | None, typer.Option("--grid", help="Write the pictures to this file.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Let a model draw what the recipe's captions say, and judge it by measure. Exits with 0 or 1.

    At least 80 % must have the colour and 60 % the shape that was asked for; nothing may be in the style of
    the artist who opted out, whether or not the artist's name is in the caption.
    """
    if not (model / "model_index.json").is_file():
        raise BadInput(f"{model} holds no pipeline in diffusers layout", code="bad_checkpoint")
    from trainer.shapes.exam import examine, load_pipeline
    from trainer.validation import grid_of

    found = examine(load_pipeline(model), samples=samples, seed=seed)
    if grid is not None:
        grid_of(found.pictures, columns=10).save(grid)
    _show(found, as_json=as_json)
    return 0 if found.passed else 1


def _show(found: "Exam", *, as_json: bool) -> None:
    count = len(found.scenes)
    if as_json:
        content = {
            "samples": count,
            "colour": round(found.colour, 4),
            "shape": round(found.shape, 4),
            "drawn": len(found.pictures),
            "in_the_opted_out_style": found.striped,
            "passed": found.passed,
        }
        typer.echo(json.dumps(content, indent=2))
        return
    typer.echo(f"colour asked for   {round(found.colour * count)} of {count}")
    typer.echo(f"shape asked for    {round(found.shape * count)} of {count}")
    typer.echo(f"opted-out style    {found.striped} of {len(found.pictures)}, half of them asked for by name")
    typer.echo("passed" if found.passed else "not passed")
