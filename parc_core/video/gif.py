"""Captions and GIF files (Pillow)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Sequence, Tuple

import numpy as np

from parc_core.system.files import PathLike, write_bytes
from parc_core.video.scene import REFERENCE_RGB, TRAINED_RGB

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_INK, _GREY, _WARN = (38, 43, 51), (110, 117, 128), (190, 40, 30)
# From the best picture to the smallest file: colours, scale, every n-th frame.
_ATTEMPTS: Tuple[Tuple[int, float, int], ...] = (
    (128, 1.0, 1),
    (64, 1.0, 1),
    (64, 1.0, 2),
    (64, 0.75, 2),
    (32, 0.6, 3),
    (32, 0.4, 4),
)


def caption(
    frame: np.ndarray, size: Tuple[int, int], title: str, note: str, warn: bool, trained: str
) -> Picture:
    """The frame as a picture of `size` with its title, a note under it and a legend of the two characters.

    Args:
        frame: (H, W, 3) uint8, at least as large as `size`.
        warn: shows the note in red.
        trained: legend of the simulated character.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(frame)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    unit = size[1] / 360.0
    large, small = ImageFont.load_default(15 * unit), ImageFont.load_default(13 * unit)
    margin = 14 * unit
    pen.text((margin, margin), title, fill=_INK, font=large)
    pen.text((margin, margin + 21 * unit), note, fill=_WARN if warn else _GREY, font=small)
    x = size[0] - margin
    for text, color in (("reference", REFERENCE_RGB), (trained, TRAINED_RGB)):
        x -= pen.textlength(text, font=small)
        pen.text((x, margin), text, fill=_INK, font=small)
        x -= 15 * unit
        pen.ellipse(
            (x, margin + 3 * unit, x + 10 * unit, margin + 13 * unit),
            fill=tuple(round(255 * c) for c in color),
        )
        x -= 16 * unit
    return image


def write_gif(path: PathLike, images: Sequence[Picture], fps: float, max_bytes: int) -> int:
    """Writes `encode_gif`. Returns its size in bytes."""
    data = encode_gif(images, fps, max_bytes)
    write_bytes(path, data)
    return len(data)


def encode_gif(images: Sequence[Picture], fps: float, max_bytes: int) -> bytes:
    """An endless GIF, made coarser until it is small enough."""
    data = b""
    for colors, scale, every in _ATTEMPTS:
        data = _encode(images[::every], fps / every, colors, scale)
        if len(data) <= max_bytes:
            break
    return data


def _encode(images: Sequence[Picture], fps: float, colors: int, scale: float) -> bytes:
    from PIL import Image

    if scale != 1.0:
        size = round(scale * images[0].width), round(scale * images[0].height)
        images = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
    # One palette for all frames and no dithering: still parts stay equal and cost nothing.
    samples = images[:: max(len(images) // 12, 1)]
    sheet = Image.new("RGB", (samples[0].width, samples[0].height * len(samples)))
    for k, image in enumerate(samples):
        sheet.paste(image, (0, k * image.height))
    palette = sheet.quantize(colors, method=Image.Quantize.MEDIANCUT)
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    out = io.BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0, disposal=1
    )
    return out.getvalue()
