"""What happens to pictures on their way into data sets. Every edit makes the bytes of a file."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

__all__ = ["BY_ORIENTATIONS", "BY_VIEWS", "EDITS", "Edit", "encoded"]

Edit = Callable[[Image.Image], bytes]
_Change = Callable[[Image.Image], Image.Image]

_QUALITY = 90
_PARAGRAPH = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor"


def encoded(image: Image.Image, form: str = "JPEG", quality: int = _QUALITY) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, form, quality=quality)
    return out.getvalue()


def _saved(change: _Change, quality: int = _QUALITY) -> Edit:
    """The edit, and then JPEG of good quality, as whoever edits saves."""
    return lambda image: encoded(change(image), quality=quality)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    return image.resize(size, Image.Resampling.BICUBIC)


def _crop(image: Image.Image, share: float, place: float = 0.5) -> Image.Image:
    """Without that share of its width and height; `place` 0.5 keeps the middle, 0 the upper left corner."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = round((image.width - width) * place), round((image.height - height) * place)
    return image.crop((left, top, left + width, top + height))


def _cut_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _img2dataset(image: Image.Image, mode: str, side: int = 256) -> Image.Image:
    """As img2dataset's resize modes do: by area when smaller, padded with white."""
    made_so = max(image.size) if mode in ("border", "keep_ratio_largest") else min(image.size)
    method = Image.Resampling.BOX if made_so > side else Image.Resampling.LANCZOS
    sized = image.resize([round(length * side / made_so) for length in image.size], method)
    if mode == "border":
        return _letterbox(sized, 1.0, "white")
    return _cut_square(sized) if mode == "center_crop" else sized


def _framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    return ImageOps.expand(image, round(share * min(image.size)), colour)


def _letterbox(image: Image.Image, ratio: float, colour: str = "black") -> Image.Image:
    """Bars above and below, or left and right, until the picture has that ratio."""
    width = max(image.width, round(image.height * ratio))
    height = max(image.height, round(image.width / ratio))
    canvas = Image.new("RGB", (width, height), colour)
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas


def _rotated(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")


def _turned(image: Image.Image, degrees: int) -> Image.Image:
    return image.rotate(degrees, expand=True)


def _blurred(image: Image.Image, radius: int) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _captioned(image: Image.Image, *, over: bool) -> Image.Image:
    bar = round(image.height * 0.15)
    canvas = Image.new("RGB", (image.width, image.height + (0 if over else bar)), "white")
    canvas.paste(image, (0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, canvas.height - bar, canvas.width, canvas.height), fill="white")
    font = ImageFont.load_default(max(bar // 2, 8))
    draw.text((bar // 4, canvas.height - bar * 3 // 4), "when nobody asked you", fill="black", font=font)
    return canvas


def _watermarked(image: Image.Image, strength: float) -> Image.Image:
    layer = Image.new("RGBA", image.size, (255, 255, 255, 0))
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(max(min(image.size) // 8, 8))
    for row in range(4):
        place = (row * image.width // 12, (2 * row + 1) * image.height // 9)
        draw.text(place, "© stock agency", fill=(255, 255, 255, round(255 * strength)), font=font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _noisy(image: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(7).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _sepia(image: Image.Image) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(image), "#1c120a", "#fff0d2")


def _gamma(image: Image.Image, power: float) -> Image.Image:
    return image.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)


def _screenshot(image: Image.Image) -> Image.Image:
    """On a page in a browser, with a headline above and text below."""
    page = Image.new("RGB", (image.width * 8 // 5, image.height * 8 // 5), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(max(image.height // 20, 8))
    draw.rectangle((0, 0, page.width, page.height // 12), fill="#d8dadf")
    left = (page.width - image.width) // 2
    draw.text((left, page.height // 8), _PARAGRAPH[:40], fill="black", font=font)
    page.paste(image, (left, page.height // 4))
    for line in range(3):
        draw.text((left, page.height * 8 // 9 + line * page.height // 30), _PARAGRAPH, fill="#333", font=font)
    return page


def _collage(image: Image.Image) -> Image.Image:
    """The picture beside three others, which are itself changed beyond recognition."""
    cell = _scaled(image, 0.5)
    inverted = [ImageOps.invert(turned) for turned in (ImageOps.flip(cell), ImageOps.mirror(cell))]
    canvas = Image.new("RGB", (cell.width * 2, cell.height * 2))
    for at, part in enumerate((cell, *inverted, ImageOps.solarize(cell, 64))):
        canvas.paste(part, (at % 2 * cell.width, at // 2 * cell.height))
    return canvas


#: That a plain hash misses and the views meet: recall is promised.
BY_VIEWS = {
    "img2dataset center_crop 256": _saved(partial(_img2dataset, mode="center_crop"), quality=95),
    "img2dataset border 256": _saved(partial(_img2dataset, mode="border"), quality=95),
    "centre square": _saved(_cut_square),
    "letterbox to 1:1, black": _saved(partial(_letterbox, ratio=1.0)),
    "letterbox to 2:1, black": _saved(partial(_letterbox, ratio=2.0)),
    "letterbox to 9:16, white": _saved(partial(_letterbox, ratio=9 / 16, colour="white")),
    "border 5 %, white": _saved(partial(_framed, share=0.05, colour="white")),
    "border 10 %, black": _saved(partial(_framed, share=0.1, colour="black")),
    "border 20 %, red": _saved(partial(_framed, share=0.2, colour="#c02020")),
}

#: The same of the eight orientations.
BY_ORIENTATIONS = {
    "mirrored": _saved(ImageOps.mirror),
    "flipped": _saved(ImageOps.flip),
    **{f"turned {angle}°": _saved(partial(_turned, degrees=angle)) for angle in (90, 180, 270)},
}

EDITS: dict[str, Edit] = {
    "none (JPEG 95)": partial(encoded, quality=95),
    **{f"JPEG {quality}": partial(encoded, quality=quality) for quality in (90, 70, 50, 30, 20, 10)},
    **{f"WebP {quality}": partial(encoded, form="WEBP", quality=quality) for quality in (80, 20)},
    **{
        f"resized to {100 * factor:.0f} %": _saved(partial(_scaled, factor=factor))
        for factor in (0.25, 0.5, 2)
    },
    "img2dataset keep_ratio 256": _saved(partial(_img2dataset, mode="keep_ratio"), quality=95),
    "img2dataset keep_ratio_largest 256": _saved(
        partial(_img2dataset, mode="keep_ratio_largest"), quality=95
    ),
    **BY_VIEWS,
    **{
        f"crop {share:.0%}, centre": _saved(partial(_crop, share=share))
        for share in (0.05, 0.1, 0.2, 0.3, 0.5)
    },
    **{
        f"crop {share:.0%}, corner": _saved(partial(_crop, share=share, place=0))
        for share in (0.05, 0.1, 0.2)
    },
    **BY_ORIENTATIONS,
    **{f"rotated {angle}°": _saved(partial(_rotated, degrees=angle)) for angle in (1, 2, 5, 10)},
    "caption over it": _saved(partial(_captioned, over=True)),
    "caption below it": _saved(partial(_captioned, over=False)),
    **{f"watermark {share:.0%}": _saved(partial(_watermarked, strength=share)) for share in (0.3, 0.6, 1)},
    "grey": _saved(lambda image: image.convert("L")),
    "sepia": _saved(_sepia),
    "saturation doubled": _saved(lambda image: ImageEnhance.Color(image).enhance(2)),
    "brightness by 0.6": _saved(lambda image: ImageEnhance.Brightness(image).enhance(0.6)),
    "brightness by 1.4": _saved(lambda image: ImageEnhance.Brightness(image).enhance(1.4)),
    "contrast by 0.6": _saved(lambda image: ImageEnhance.Contrast(image).enhance(0.6)),
    "contrast by 1.5": _saved(lambda image: ImageEnhance.Contrast(image).enhance(1.5)),
    "gamma 1.5": _saved(partial(_gamma, power=1.5)),
    "equalised": _saved(ImageOps.equalize),
    "inverted": _saved(ImageOps.invert),
    **{f"blur {radius}": _saved(partial(_blurred, radius=radius)) for radius in (1, 2, 4)},
    "sharpened": _saved(lambda image: image.filter(ImageFilter.UnsharpMask(2, 200))),
    **{f"noise {deviation}": _saved(partial(_noisy, deviation=deviation)) for deviation in (10, 25)},
    "screenshot of a page": _saved(_screenshot),
    "collage of four": _saved(_collage),
}
