"""Drawing the pictures: a coloured shape in an artist's style."""

import random
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, ImageDraw

__all__ = ["ARTISTS", "COLOURS", "OPTED_OUT", "SHAPES", "SIDE", "Artist", "Scene", "draw_scene", "shape_mask"]

SIDE = 32
# Drawn larger and scaled down, for smooth edges.
_ZOOM = 4

#: Hue in degrees.
COLOURS = {"red": 0, "yellow": 55, "green": 125, "blue": 230, "purple": 290}
SHAPES = ("circle", "square", "triangle", "cross")

Box = tuple[float, float, float, float]


class Scene(NamedTuple):
    """What a picture shows: a word of `COLOURS`, one of `SHAPES`, and whose hand it is in."""

    colour: str
    shape: str
    artist: str


class Artist(NamedTuple):
    """An invented artist: the name in captions, the site the works hang on, and what lies behind a shape."""

    name: str
    domain: str
    ground: Callable[[Image.Image, random.Random], None]
    outline: bool = False


def _paper(picture: Image.Image, chance: random.Random) -> None:
    picture.paste((chance.randint(240, 255),) * 3, (0, 0, *picture.size))


def _slate(picture: Image.Image, chance: random.Random) -> None:
    picture.paste((chance.randint(40, 70),) * 3, (0, 0, *picture.size))


def _shore(picture: Image.Image, chance: random.Random) -> None:
    """Pale sky over sand."""
    horizon = int(picture.height * chance.uniform(0.5, 0.7))
    picture.paste((222, 232, 240), (0, 0, *picture.size))
    picture.paste((205, 198, 180), (0, horizon, *picture.size))


def _stripes(picture: Image.Image, chance: random.Random) -> None:
    """Black and white diagonals, a quarter of the width apart."""
    draw, width = ImageDraw.Draw(picture), picture.width
    picture.paste((250, 250, 250), (0, 0, *picture.size))
    period = width / 4
    begin = chance.uniform(-period, 0)
    for number in range(10):
        left = begin + number * period
        corners = [
            (left, 0),
            (left + period / 2, 0),
            (left + period / 2 - width, width),
            (left - width, width),
        ]
        draw.polygon(corners, fill=(20, 20, 20))


ARTISTS = (
    Artist("Ana Voss", "ana-voss.example", _paper),
    Artist("Bo Lindqvist", "lindqvist.example", _slate),
    Artist("Chidi Park", "chidi-park.example", _shore, outline=True),
    Artist("Mirela Dunn", "mirela-dunn.example", _stripes),
)
#: Who opts out.
OPTED_OUT = ARTISTS[-1]


def draw_scene(scene: Scene, chance: random.Random) -> Image.Image:
    """A picture of `SIDE` pixels a side; place, size and shade are drawn from `chance`."""
    artist = next(each for each in ARTISTS if each.name == scene.artist)
    side = SIDE * _ZOOM
    picture = Image.new("RGB", (side, side))
    artist.ground(picture, chance)
    size = side * chance.uniform(0.5, 0.64)
    left, top = (side / 2 - size / 2 + side * chance.uniform(-0.06, 0.06) for _ in range(2))
    fill = _shade(COLOURS[scene.colour], chance)
    mask = shape_mask(scene.shape, picture.size, (left, top, left + size, top + size))
    if artist.outline:
        rim = side / 24
        around = (left - rim, top - rim, left + size + rim, top + size + rim)
        picture.paste((30, 30, 30), (0, 0), shape_mask(scene.shape, picture.size, around))
    picture.paste(fill, (0, 0), mask)
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX)


def _shade(hue: int, chance: random.Random) -> tuple[int, int, int]:
    turned = round((hue + chance.uniform(-8, 8)) % 360 / 360 * 255)
    one = Image.new("HSV", (1, 1), (turned, chance.randint(200, 245), chance.randint(195, 245)))
    found: tuple[int, int, int] = one.convert("RGB").getpixel((0, 0))  # type: ignore[assignment]
    return found


def shape_mask(shape: str, size: tuple[int, int], box: Box) -> Image.Image:
    """White where the shape that fills `box` is, black elsewhere."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    left, top, right, bottom = box
    if shape == "circle":
        draw.ellipse(box, fill=255)
    elif shape == "square":
        draw.rectangle(box, fill=255)
    elif shape == "triangle":
        draw.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=255)
    else:
        third = (right - left) / 3
        draw.rectangle((left + third, top, right - third, bottom), fill=255)
        draw.rectangle((left, top + third, right, bottom - third), fill=255)
    return mask
