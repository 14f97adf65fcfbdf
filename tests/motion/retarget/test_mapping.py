"""Which joint plays which part, by the names that the usual skeletons have."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.config.skeleton_config import REQUIRED_ROLES
from parc_core.errors import DataError
from parc_core.motion.retarget.mapping import map_joints

# Each: pelvis, its spine, neck, head, left collar to wrist, left hip to toe; "-" where the skeleton has none.
SKELETONS = {
    "mixamo": "mixamorig:Hips mixamorig:Spine,mixamorig:Spine1,mixamorig:Spine2 mixamorig:Neck mixamorig:Head "
    "mixamorig:LeftShoulder mixamorig:LeftArm mixamorig:LeftForeArm mixamorig:LeftHand "
    "mixamorig:LeftUpLeg mixamorig:LeftLeg mixamorig:LeftFoot mixamorig:LeftToeBase",
    "lafan1": "Hips Spine,Spine1,Spine2 Neck Head LeftShoulder LeftArm LeftForeArm LeftHand "
    "LeftUpLeg LeftLeg LeftFoot LeftToe",
    "cmu": "Hips LowerBack,Spine,Spine1 Neck Head LeftShoulder LeftArm LeftForeArm LeftHand "
    "LeftUpLeg LeftLeg LeftFoot LeftToeBase",
    "bandai": "Hips Spine,Chest Neck Head Shoulder_L UpperArm_L LowerArm_L Hand_L "
    "UpperLeg_L LowerLeg_L Foot_L Toes_L",
    "xsens": "Hips Chest,Chest2,Chest3,Chest4 Neck Head LeftCollar LeftShoulder LeftElbow LeftWrist "
    "LeftHip LeftKnee LeftAnkle LeftToe",
    "mvn": "Pelvis L5,L3,T12,T8 Neck Head LeftShoulder LeftUpperArm LeftForeArm LeftHand "
    "LeftUpperLeg LeftLowerLeg LeftFoot LeftToe",
    "smpl": "Pelvis Spine1,Spine2,Spine3 Neck Head L_Collar L_Shoulder L_Elbow L_Wrist L_Hip L_Knee L_Ankle L_Foot",
    "biped": "Bip01_Pelvis Bip01_Spine,Bip01_Spine1 Bip01_Neck Bip01_Head Bip01_L_Clavicle Bip01_L_UpperArm "
    "Bip01_L_Forearm Bip01_L_Hand Bip01_L_Thigh Bip01_L_Calf Bip01_L_Foot Bip01_L_Toe0",
    "unreal": "pelvis spine_01,spine_02,spine_03 neck_01 head clavicle_l upperarm_l lowerarm_l hand_l "
    "thigh_l calf_l foot_l ball_l",
    "parc": "pelvis torso - head - left_upper_arm left_lower_arm left_hand left_thigh left_shin left_foot -",
    "asf": "root lowerback,upperback,thorax lowerneck head lclavicle lhumerus lradius lwrist "
    "lfemur ltibia lfoot ltoes",
}


def other_side(name: str) -> str:
    for left, right in (("Left", "Right"), ("left", "right"), ("_L_", "_R_"), ("L_", "R_")):
        if left in name:
            return name.replace(left, right)
    for left, right in (("_L", "_R"), ("_l", "_r")):
        if name.endswith(left):
            return name[: -len(left)] + right
    assert name.startswith("l")
    return "r" + name[1:]


def skeleton(text: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    """Names, parents, and the name expected for each role."""
    pelvis, spine, neck, head, collar, *limbs = text.split()
    names, parents = [pelvis], [-1]

    def add(name: str, parent: str) -> str:
        if name == "-":
            return parent
        parents.append(names.index(parent))
        names.append(name)
        return name

    chest = pelvis
    for name in spine.split(","):
        chest = add(name, chest)
    roles = {"pelvis": pelvis, "spine": spine.split(",")[0], "head": head}
    if neck != "-":
        roles["neck"] = neck
    add(head, add(neck, chest))
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
    for side in ("left", "right"):
        turned = [name if side == "left" or name == "-" else other_side(name) for name in (collar, *limbs)]
        above = add(turned[0], chest)
        assert len(parts) == len(turned) - 1
        for part, name in zip(parts, turned[1:]):
            above = add(name, pelvis if part == "hip" else above)
            if name != "-":
                roles[f"{side}_{part}"] = name
    return tuple(names), np.array(parents), roles


@pytest.mark.parametrize("kind", SKELETONS)
def test_usual_skeletons_are_known(kind: str) -> None:
    names, parents, expected = skeleton(SKELETONS[kind])
    mapping = map_joints(names, parents, kind)
    assert {role: names[joint] for role, joint in mapping.roles.items()} == expected
    assert [names[joint] for joint in mapping.spine] == SKELETONS[kind].split()[1].split(",")


def test_missing_joints_are_named_in_one_line() -> None:
    names, parents, _ = skeleton(SKELETONS["lafan1"])
    unknown = tuple(name.replace("LeftForeArm", "Gizmo") for name in names)
    with pytest.raises(
        DataError, match=r"^a.bvh: no joint found for left_elbow; name them in a --skeleton file"
    ):
        map_joints(unknown, parents, "a.bvh")
    mapping = map_joints(unknown, parents, "a.bvh", {"left_elbow": "Gizmo"})
    assert set(REQUIRED_ROLES) <= set(mapping.roles)
    with pytest.raises(DataError, match=r"no joint .Gizma. \(left_elbow\)"):
        map_joints(unknown, parents, "a.bvh", {"left_elbow": "Gizma"})
    with pytest.raises(DataError, match="no role 'left_tail'"):
        map_joints(unknown, parents, "a.bvh", {"left_tail": "Gizmo"})
