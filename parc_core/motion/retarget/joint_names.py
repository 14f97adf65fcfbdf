"""Joint names of the usual skeletons, and what they play.

Known: Mixamo, CMU (BVH), LAFAN1, MotionBuilder and HumanIK, Bandai-Namco, Xsens, Biped, Unreal, SMPL, and the humanoids
of DeepMimic, AMP and PARC.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from parc_core.config.skeleton_config import SIDES

_LIMB_NAMES: Dict[str, Tuple[str, ...]] = {
    "hip": ("upleg", "upperleg", "uplegroll", "thigh", "femur", "hip", "hipjoint"),
    "knee": ("lowerleg", "lowleg", "calf", "shin", "tibia", "knee", "leg"),
    "ankle": ("ankle", "foot"),
    "toe": ("toebase", "toe", "toes", "toe0", "ball", "foot"),
    "shoulder": ("upperarm", "uparm", "humerus", "arm", "shoulder"),
    "elbow": ("forearm", "lowerarm", "lowarm", "radius", "elbow"),
    "wrist": ("wrist", "hand"),
}
"""Names without side and decoration; earlier ones are preferred: a LeftShoulder above a LeftArm is the collar."""
_MIDDLE_NAMES: Dict[str, Tuple[str, ...]] = {
    "pelvis": ("pelvis", "hips", "hip", "root"),
    "spine": ("torso", "abdomen", "lowerback", "spine", "spine1", "spine01", "chest"),
    "neck": ("neck", "neck1", "neck01", "lowerneck"),
    "head": ("head",),
}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SIDE_OF = {"left": "left", "l": "left", "right": "right", "r": "right"}
_PREFIXES = re.compile(
    r"^(.*[:|]|bip0*1?[ _]|m_avg_|mixamorig[0-9]*[_:]?|def[-_]|valvebiped[._]?bip01[_ ])", re.IGNORECASE
)


def split_name(name: str) -> Tuple[Optional[str], str]:
    """Side ("left", "right" or None) and plain lower-case name: "mixamorig:LeftUpLeg" -> ("left", "upleg")."""
    bare = _PREFIXES.sub("", name)
    words = [word.lower() for word in _WORDS.findall(bare)]
    if words and words[0] == "joint" and len(words) > 1:
        words = words[1:]
    for place, word in enumerate(words):
        if word in _SIDE_OF:
            return _SIDE_OF[word], "".join(words[:place] + words[place + 1 :])
    text = "".join(words)
    # DeepMimic's and CMU's ASF names, without capitals: lfemur, rhumerus, lefthip.
    for sign in ("left", "right", "l", "r"):
        rest = text[len(sign) :]
        if text.startswith(sign) and any(rest in names for names in _LIMB_NAMES.values()):
            return _SIDE_OF[sign], rest
    return None, text


def guess_roles(names: Tuple[str, ...]) -> Dict[str, int]:
    """Joint of each role that the names tell; others are missing."""
    split = [split_name(name) for name in names]
    found: Dict[str, int] = {}
    for role, known in _MIDDLE_NAMES.items():
        _take(found, role, _first(split, None, known))
    for side in SIDES:
        for part, known in _LIMB_NAMES.items():
            place = _first(split, side, known)
            if part == "toe" and place == found.get(f"{side}_ankle"):
                continue  # the only "foot" is the ankle; beside an "ankle" it is the toe (SMPL)
            _take(found, f"{side}_{part}", place)
    return found


def _take(found: Dict[str, int], role: str, place: Optional[int]) -> None:
    if place is not None:
        found[role] = place


def _first(
    split: List[Tuple[Optional[str], str]], side: Optional[str], known: Tuple[str, ...]
) -> Optional[int]:
    for name in known:
        if (side, name) in split:
            return split.index((side, name))
    return None
