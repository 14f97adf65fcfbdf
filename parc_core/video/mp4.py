"""MP4 files (PyAV, of the extra `video`)."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from parc_core.errors import ConfigError
from parc_core.system.extras import install_extra
from parc_core.system.files import PathLike, write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_CODECS = ("libx264", "libopenh264", "mpeg4")
"""The first that PyAV has here; browsers play the first two."""


def check_encoder() -> None:
    """Raises ConfigError, with what to install, where no MP4 can be written."""
    _codec()


def write_mp4(path: PathLike, images: Sequence[Picture], fps: int) -> None:
    """Writes pictures of one size, even in width and height.

    Raises:
        ConfigError: PyAV is not installed.
    """
    name = _codec()
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream(name, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = *images[0].size, "yuv420p"
        if name == "libx264":
            stream.options = {"crf": "23"}
        else:
            stream.bit_rate = 2_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")))))
        container.mux(stream.encode())
    write_bytes(path, out.getvalue())


def _codec() -> str:
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"mp4 files need PyAV: {install_extra('video')} ({error})") from error
    for name in _CODECS:
        try:
            av.Codec(name, "w")
        except (ValueError, av.FFmpegError):
            continue
        return name
    raise ConfigError(f"mp4 files need a codec of {', '.join(_CODECS)}, and PyAV has none of them here")
