"""A clip's variants, mirror images and recordings are known as that clip's."""

from __future__ import annotations

import pytest

from parc_core.motion.dataset.identity import clip_identity


@pytest.mark.parametrize(
    "name, identity",
    [
        ("walk", "walk"),
        ("walk.pkl", "walk"),
        ("some/class_var001/walk.npz", "walk"),
        ("walk_var003", "walk"),
        ("walk_var", "walk"),
        ("walk_mirror", "walk"),
        ("walk_mirror2.pkl", "walk"),
        ("back_flip", "back_flip"),
        ("front_flip_mirror.pkl", "front_flip"),
        ("walk_part12_mirror.pkl", "walk"),
        ("walk_var003_mirror.pkl", "walk"),
        ("walk_mirror_var003_dm.pkl", "walk"),
        ("walk_dm_var010", "walk"),
        ("long_walk1_mirror_002", "long_walk1_002"),
        ("long_walk1_002_mirror", "long_walk1_002"),
        ("long_walk1_mirror_002_mirror_var1", "long_walk1_002"),
        ("walk_002_var001", "walk_002"),
        ("walk_002", "walk_002"),
        ("walk_variant", "walk_variant"),
        ("walk_mirrored", "walk_mirrored"),
        ("backflip", "backflip"),
        ("mirror_walk", "mirror_walk"),
        ("_mirror", "_mirror"),
        ("mirror", "mirror"),
        ("walk.v2_var1", "walk.v2"),
    ],
)
def test_identity(name: str, identity: str) -> None:
    assert clip_identity(name) == identity


def test_an_identity_is_its_own() -> None:
    for name in ("walk_var003_mirror.pkl", "long_walk1_mirror_002", "_mirror_var1"):
        assert clip_identity(clip_identity(name)) == clip_identity(name)
