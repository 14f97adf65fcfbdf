"""MP4 files hold the pictures that they were given."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from PIL import Image

from parc_core.errors import ConfigError
from parc_core.video.mp4 import check_encoder, write_mp4


def test_frames_colours_and_rate_come_back(tmp_path):
    av = pytest.importorskip("av")
    shades = [30, 120, 210]
    images = [Image.fromarray(np.full((64, 96, 3), shade, np.uint8)) for shade in shades]
    write_mp4(tmp_path / "deep" / "clip.mp4", images, 30)
    with av.open(str(tmp_path / "deep" / "clip.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == 30.0
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 3
    assert [frame.mean() for frame in frames] == pytest.approx(shades, abs=4)


def test_without_pyav_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install -e '/.*\[video\]'"):
        check_encoder()
