"""Observations recorded in Isaac Gym, recomputed from the recorded frames and the reference motion.

obs[t] belongs to frame t; a target of step k is reference frame min(t + k, last). Limits come from the errors that
the reference's own functions reach (`err__*` in the file). Simulated velocities are not in the recording, except at
frame 0, where they are the reference's.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs import observations
from parc_core.envs.observation import ObservationLayout, Sizes
from parc_core.envs.observations import Targets
from parc_core.envs.rewards import Pose
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.envs.observed import char_and_targets, observed
from tests.motion.make_library import library_of

CPU = torch.device("cpu")
MARGIN = 4.0  # how far float32 rounding of another order of operations may exceed the reference's own error
FLOOR = 1e-6
VELOCITY_LIMIT = 2e-4  # m/s, rad/s: 30 times the rounding of a frame's difference


class Recording:
    """The file's arrays and what our code makes of them."""

    def __init__(self, folder: Path) -> None:
        self.data = np.load(folder / "08_recorded_obs.npz")
        self.kinematics = Kinematics(load_character(PROJECT_ROOT / "data/assets/humanoid.xml"), CPU)
        reference = read_motion_terrain(folder / "files" / "08_reconstructed_reference.pkl")
        assert reference.motion is not None
        assert reference.terrain is not None
        self.clip, self.terrain = reference.motion, reference.terrain
        self.library = library_of([self.clip], [1.0], ["reference"], self.kinematics)
        self.root_pos, self.root_rot, self.joint_rot = map(self.tensor, ("root_pos", "root_rot", "joint_rot"))
        self.obs = self.tensor("obs_recorded_rebased")
        self.steps = self.tensor("tar_steps")
        self.frames = torch.arange(len(self.obs))
        self.sizes = self.slices("slices")

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.data[name])

    def slices(self, name: str) -> dict[str, slice]:
        parts = (text.split(":") for text in self.data[name].tolist())
        return {part: slice(int(start), int(end)) for part, start, end in parts}

    def limit(self, name: str) -> float:
        return MARGIN * float(self.data["err__" + name][0]) + FLOOR

    def recomputed(self, part: str) -> Tensor:
        """What the reference's own functions make of the frames."""
        return self.tensor("obs_recomputed")[:, self.sizes[part]]

    def recorded(self, part: str) -> Tensor:
        return self.obs[:, self.sizes[part]]

    def key_ids(self) -> list[int]:
        names = ("right_hand", "left_hand", "right_foot", "left_foot")
        return [self.kinematics.character.body_id(name) for name in names]

    def targets(self) -> tuple[Tensor, ...]:
        """Reference poses by direct frame indexing. (n, K, ...)."""
        last = self.clip.num_frames - 1
        index = (self.frames[:, None] + self.steps).clamp(max=last)
        lib = self.library
        return tuple(
            values[index]
            for values in (lib.frame_root_pos, lib.frame_root_rot, lib.frame_joint_rot, lib.frame_contacts)
        )

    def target_obs(self, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor) -> Tensor:
        """tar_obs for the recorded roots. (n, K, ·)."""
        keys = self.kinematics.forward(root_pos, root_rot, joint_rot)[0][:, :, self.key_ids()]
        contacts = torch.zeros(*joint_rot.shape[:2], self.kinematics.num_bodies)
        targets = Targets(root_pos, root_rot, joint_rot, keys, contacts)
        still = torch.zeros(len(root_pos), 3), torch.zeros(len(root_pos), self.kinematics.dof_size)
        return char_and_targets(observed(self.char(still[0], still[0], still[1]), targets))[1]

    def char(self, root_vel: Tensor, root_ang_vel: Tensor, dof_vel: Tensor) -> Pose:
        """The recorded poses, moving in a given way."""
        keys = self.kinematics.forward(self.root_pos, self.root_rot, self.joint_rot)[0][:, self.key_ids()]
        return Pose(self.root_pos, self.root_rot, root_vel, root_ang_vel, self.joint_rot, dof_vel, keys)

    def char_obs(self, root_vel: Tensor, root_ang_vel: Tensor, dof_vel: Tensor) -> Tensor:
        """char_obs of the recorded poses. (n, ·)."""
        n, keys = len(self.frames), len(self.key_ids())
        nowhere = Targets(
            torch.zeros(n, 1, 3),
            torch.zeros(n, 1, 4),
            torch.zeros(n, 1, self.kinematics.num_joints, 4),
            torch.zeros(n, 1, keys, 3),
            torch.zeros(n, 1, self.kinematics.num_bodies),
        )
        return char_and_targets(observed(self.char(root_vel, root_ang_vel, dof_vel), nowhere))[0]


@pytest.fixture(scope="module")
def recording(golden_dir: Path) -> Recording:
    for name in ("08_recorded_obs.npz", "files/08_reconstructed_reference.pkl"):
        if not (golden_dir / name).is_file():
            pytest.skip(f"{golden_dir / name} is not there")
    return Recording(golden_dir)


def test_the_layout_is_the_recordings(recording: Recording) -> None:
    """Offsets of all segments, by the file's own slices."""
    config, character = EnvConfig(), recording.kinematics.character
    sizes = Sizes(
        bodies=character.num_bodies,
        dofs=character.dof_size,
        keys=len(config.key_bodies),
        steps=len(config.tar_obs_steps),
        points=441,
    )
    layout = ObservationLayout(config, sizes)
    assert layout.dim == recording.obs.shape[1]
    assert {name: layout.slices[name] for name in recording.slices("char_slices")} == recording.slices(
        "char_slices"
    )
    starts = {name: place.start for name, place in recording.slices("tar_slices").items()}
    assert {name[len("target_") :]: at for name, at in layout.target_starts.items()} == starts
    ours = {
        "tar_obs": "targets",
        "tar_contacts": "target_contacts",
        "char_contacts": "contacts",
        "hf": "heights",
    }
    for theirs, name in ours.items():
        assert layout.slices[name] == recording.sizes[theirs], theirs


def worst(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max())


def char_obs(recording: Recording) -> Tensor:
    """char_obs of the recorded frames, moving as the reference does."""
    r = recording
    frame = r.library.sample(torch.zeros_like(r.frames), r.frames / r.clip.fps)
    return r.char_obs(frame.root_vel, frame.root_ang_vel, frame.dof_vel)


def test_character_pose(recording: Recording) -> None:
    actual, expected = char_obs(recording), recording.recorded("char_obs")
    parts = recording.slices("char_slices")
    for part in ("root_rot", "joint_rot", "key_pos"):
        assert worst(actual[:, parts[part]], expected[:, parts[part]]) <= recording.limit(
            "char_obs." + part
        ), part


def test_starting_velocities_are_the_references(recording: Recording) -> None:
    actual, expected = char_obs(recording)[0], recording.recorded("char_obs")[0]
    parts = recording.slices("char_slices")
    for part in ("root_vel", "root_ang_vel", "dof_vel"):
        limit = recording.limit(f"char_obs.{part} frame0")
        assert worst(actual[parts[part]], expected[parts[part]]) <= limit, part


def test_targets_by_frame(recording: Recording) -> None:
    root_pos, root_rot, joint_rot, contacts = recording.targets()
    actual = recording.target_obs(root_pos, root_rot, joint_rot)
    expected = recording.recorded("tar_obs").reshape(actual.shape)
    for part, columns in recording.slices("tar_slices").items():
        limit = recording.limit(f"B tar_obs.{part} (all steps)")
        assert worst(actual[..., columns], expected[..., columns]) <= limit, part
    limit = recording.limit("B tar_contacts (all steps)")
    assert worst(contacts.flatten(1), recording.recorded("tar_contacts")) <= limit


def test_targets_by_time(recording: Recording) -> None:
    """The same through the library's interpolation, whose times are rounded to float32."""
    zeros = torch.zeros_like(recording.frames)
    dt = 1.0 / recording.clip.fps
    root_pos, root_rot, joint_rot, contacts = recording.library.target_frames(
        zeros, recording.frames * dt, recording.steps, dt
    )
    actual = recording.target_obs(root_pos, root_rot, joint_rot)
    expected = recording.recorded("tar_obs").reshape(actual.shape)
    want_contacts = recording.recorded("tar_contacts").reshape(contacts.shape)
    for k, step in enumerate(recording.steps.tolist()):
        for part, columns in recording.slices("tar_slices").items():
            limit = recording.limit(f"tar_obs.{part} step{step}")
            assert worst(actual[:, k, columns], expected[:, k, columns]) <= limit, (part, step)
        assert worst(contacts[:, k], want_contacts[:, k]) <= recording.limit(f"tar_contacts step{step}")


def test_contacts(recording: Recording) -> None:
    force = recording.tensor("body_contacts")[..., None] * torch.tensor([0.0, 0.0, 1.0])
    actual = observations.contact_obs(force, 1e-5)
    assert worst(actual, recording.recorded("char_contacts")) <= recording.limit("char_contacts")


def test_ray_points(recording: Recording) -> None:
    points = observations.ray_points(0.05, 3, 3, 0.26179938779, 2, 60)
    assert worst(points, recording.tensor("ray_xy_points")) < 1e-5


def heights(recording: Recording, terrain: Heightfield) -> tuple[Tensor, Tensor]:
    """Height observation and the cells it was read from. (n, P) and (n, P, 2)."""
    packed = PackedTerrain([terrain], CPU)
    ids = torch.zeros_like(recording.frames)
    points = observations.ray_points_world(
        recording.tensor("ray_xy_points"), recording.root_pos, recording.root_rot
    )
    index = packed.cell_index(ids, points)
    return observations.height_obs(packed.cell_heights(ids, index), recording.root_pos, -3.0, 3.0), index


def share_beyond(actual: Tensor, expected: Tensor, limit: float) -> float:
    """A point within float rounding of a cell's border may fall to either side: few may be off."""
    return float(((actual - expected).abs() > limit).float().mean())


def test_heights_in_bounds(recording: Recording) -> None:
    actual, _ = heights(recording, recording.terrain)
    inside = recording.tensor("hf_in_bounds")
    limit = recording.limit("hf in bounds")
    assert share_beyond(actual[inside], recording.recorded("hf")[inside], limit) < 1e-4


def test_heights_on_the_extended_terrain(recording: Recording) -> None:
    extended = Heightfield(
        recording.data["extended_hf"], recording.data["extended_min_point"], float(recording.terrain.dx)
    )
    actual, index = heights(recording, extended)
    limit = recording.limit("hf extended terrain (all pts)")
    assert share_beyond(actual, recording.recorded("hf"), limit) < 1e-4
    origin = recording.tensor("extended_origin_index")
    cells = index + origin
    assert float((cells != recording.tensor("ray_grid_index")).any(-1).float().mean()) < 1e-4


def test_the_reference_motion(recording: Recording) -> None:
    for name in ("root_pos", "root_rot", "joint_rot", "contacts"):
        ours, want = getattr(recording.library, f"frame_{name}"), recording.tensor(f"ref_{name}")
        assert worst(ours, want) <= FLOOR, name


def test_velocities_by_differences(recording: Recording) -> None:
    """The velocities that the recorded frames would have as a clip, and char_obs made of them."""
    r = recording
    clip = dataclasses.replace(
        r.clip,
        root_pos=r.data["root_pos"],
        root_rot=r.data["root_rot"],
        joint_rot=r.data["joint_rot"],
        body_contacts=r.data["body_contacts"],
    )
    library = library_of([clip], [1.0], ["recorded"], r.kinematics)
    vels = [r.tensor(f"fd_{name}") for name in ("root_vel", "root_ang_vel", "dof_vel")]
    for name, want in zip(("root_vel", "root_ang_vel", "dof_vel"), vels):
        # Backward differences: of the frame before and this one; the first has none before it.
        assert worst(getattr(library, f"frame_{name}")[:-1], want[1:]) <= VELOCITY_LIMIT, name
    assert worst(r.char_obs(vels[0], vels[1], vels[2]), r.recomputed("char_obs")) <= 2e-5


def test_as_the_reference_recomputes_it(recording: Recording) -> None:
    """Targets by frame, and heights of the original terrain, beyond its bounds too."""
    root_pos, root_rot, joint_rot, _ = recording.targets()
    actual = recording.target_obs(root_pos, root_rot, joint_rot)
    assert worst(actual, recording.tensor("tar_obs_recomputed_B")) <= 2e-5
    hf, _ = heights(recording, recording.terrain)
    assert share_beyond(hf, recording.recomputed("hf"), FLOOR) < 1e-4


def test_errors_of_the_reference(recording: Recording) -> None:
    """The file's own numbers: what it calls errors follows from its observations."""
    error = (recording.tensor("obs_recomputed") - recording.obs).abs()
    assert worst(error, recording.tensor("abs_err")) <= FLOOR


def error_table(recording: Recording) -> list[tuple[str, float, float]]:
    """Component, largest and mean difference of what we compute from what was recorded."""
    root_pos, root_rot, joint_rot, contacts = recording.targets()
    char, char_want = char_obs(recording), recording.recorded("char_obs")
    target = recording.target_obs(root_pos, root_rot, joint_rot)
    target_want = recording.recorded("tar_obs").reshape(target.shape)
    extended = Heightfield(
        recording.data["extended_hf"], recording.data["extended_min_point"], float(recording.terrain.dx)
    )
    pairs = []
    for part, columns in recording.slices("char_slices").items():
        if part.endswith("_vel"):  # of later frames it is the simulator's own
            pairs.append((f"char_obs.{part}, frame 0", char[0, columns], char_want[0, columns]))
        else:
            pairs.append((f"char_obs.{part}", char[:, columns], char_want[:, columns]))
    for part, columns in recording.slices("tar_slices").items():
        pairs.append((f"tar_obs.{part}", target[..., columns], target_want[..., columns]))
    force = recording.tensor("body_contacts")[..., None].expand(-1, -1, 3)
    touching = observations.contact_obs(force, 1e-5)
    inside, hf = recording.tensor("hf_in_bounds"), recording.recorded("hf")
    pairs += [
        ("tar_contacts", contacts.flatten(1), recording.recorded("tar_contacts")),
        ("char_contacts", touching, recording.recorded("char_contacts")),
        ("heights in bounds", heights(recording, recording.terrain)[0][inside], hf[inside]),
        ("heights on the extended terrain", heights(recording, extended)[0], hf),
    ]
    return [(name, worst(a, b), float((a - b).abs().mean())) for name, a, b in pairs]


def test_table_of_errors(recording: Recording) -> None:
    """Prints it: `pytest -s tests/golden/test_08_recorded_obs.py -k table`."""
    rows = error_table(recording)
    print("\n| component | max | mean |\n|---|---|---|")
    for name, largest, mean in rows:
        print(f"| {name} | {largest:.1e} | {mean:.1e} |")
    assert {name.split(".")[0].split(" ")[0].replace("heights", "hf") for name, _, _ in rows} == set(
        recording.sizes
    )
