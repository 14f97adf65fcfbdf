"""Which steps belong to a clip, by hand in an environment of tables."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from parc_core.envs.terminations import FailReason
from parc_core.playback.play import play, waves
from tests.playback.fake_env import FakeEnv, id_as_action

NONE, FALL, DIVERGED, END = FailReason.NONE, FailReason.FALL, FailReason.DIVERGED, FailReason.MOTION_END


def played(env, ids, **rules):
    """Per clip: control steps that belong to it and the reason of its end."""
    steps = list(play(env, id_as_action, torch.tensor(ids), **rules))
    assert [step.index for step in steps] == list(range(len(steps)))
    assert steps[0].alive.all() and steps[0].reason.tolist() == [NONE] * len(ids)
    alive = torch.stack([step.alive for step in steps]).int()
    assert (alive[1:] <= alive[:-1]).all() and not (alive[-1] & (steps[-1].reason == NONE)).any()
    return list(zip((alive.sum(0) - 1).tolist(), steps[-1].reason.tolist()))


def test_a_clip_ends_at_its_length_its_first_failure_or_after_one_loop():
    fails = {1: (0.3, FALL), 3: (0.5, FALL), 4: (0.1, DIVERGED)}
    env = FakeEnv(5, lengths=[0.5, 0.5, 0.4, 0.5, 0.7], looping=(2,), fails=fails)
    # Clip 3 fails in the step that reaches its end: a failure.
    assert played(env, [0, 1, 2, 3, 4]) == [(5, END), (3, FALL), (4, END), (5, FALL), (1, DIVERGED)]


def test_only_looping_clips_go_on_beyond_their_length():
    env = FakeEnv(3, lengths=[0.5, 0.4, 0.5], looping=(1,))
    until = torch.tensor([0.9, 0.9, 0.2])
    assert played(env, [0, 1, 2], until=until) == [(5, END), (9, END), (2, END)]


def test_a_failed_clip_goes_on_for_the_tail_but_not_beyond_its_end():
    env = FakeEnv(
        4, [0.9, 0.9, 0.9, 0.4], looping=(3,), fails={1: (0.3, FALL), 2: (0.8, FALL), 3: (0.3, FALL)}
    )
    expected = [(9, END), (5, FALL), (9, FALL), (4, FALL)]
    assert played(env, [0, 1, 2, 3], tail_s=0.2) == expected


def test_the_reason_is_the_first_one_and_stays():
    env = FakeEnv(1, [0.6], fails={0: (0.2, FALL)})
    reasons = [int(step.reason[0]) for step in play(env, id_as_action, torch.tensor([0]), tail_s=0.1)]
    assert reasons[:2] == [NONE, NONE] and set(reasons[2:]) == {FALL} and len(reasons) >= 6


def test_clips_start_at_times_of_their_own():
    env = FakeEnv(3, lengths=[0.5, 0.5])
    assert played(env, [0, 1, 0], times=torch.tensor([0.3, 0.0, 0.4])) == [(2, END), (5, END), (1, END)]
    ids, times = env.resets[0]
    assert ids == [0, 1, 0] and times == pytest.approx([0.3, 0.0, 0.4])


def test_other_environments_repeat_the_first_clip_and_are_not_seen():
    env = FakeEnv(4, lengths=[0.5] * 8)
    steps = play(env, id_as_action, torch.tensor([7, 3]), times=torch.tensor([0.2, 0.1]))
    start, first = next(steps), next(steps)
    assert env.resets[0][0] == [7, 3, 7, 7] and env.resets[0][1] == pytest.approx([0.2, 0.1, 0.2, 0.2])
    assert start.reward.tolist() == [0.0, 0.0] and first.reward.tolist() == [7.0, 3.0]
    assert first.time.tolist() == pytest.approx([0.3, 0.2])
    assert first.alive.shape == first.reason.shape == (2,)
    assert first.state.root_pos[:, 0].tolist() == pytest.approx([0.3, 0.2])
    assert first.state.root_pos.data_ptr() == env.engine.state.root_pos.data_ptr()  # no copy


def test_earlier_steps_keep_their_numbers():
    """Only the engine's state is overwritten, though the environment writes its reasons in place."""
    env = FakeEnv(1, lengths=[0.3])
    steps = list(play(env, id_as_action, torch.tensor([0])))
    assert [int(step.reason[0]) for step in steps[:4]] == [NONE, NONE, NONE, END]
    assert [round(float(step.time[0]), 3) for step in steps[:4]] == [0.0, 0.1, 0.2, 0.3]


def test_gradients_stay_as_the_caller_has_them():
    for _ in play(FakeEnv(1, [0.3]), id_as_action, torch.tensor([0])):
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("ids", [[], [0, 0, 0]])
def test_no_clips_and_more_than_environments_are_refused(ids):
    with pytest.raises(ValueError, match=f"1 to 2 clips .* not {len(ids)}"):
        next(play(FakeEnv(2, [0.5]), id_as_action, torch.tensor(ids, dtype=torch.long)))


class _Reads(TorchDispatchMode):
    """Counts numbers that are brought to the host."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count += 1
        return func(*args, **(kwargs or {}))


def test_the_host_waits_once_for_the_longest_end_and_then_every_30_steps():
    env = FakeEnv(2, lengths=[8.0, 2.0])
    with _Reads() as reads:
        ended = [step.ended for step in play(env, id_as_action, torch.tensor([0, 1]))]
    assert reads.count == 3
    assert {k: n for k, n in enumerate(ended) if n is not None} == {30: 1, 60: 1}


def test_nothing_is_played_after_a_count_that_finds_all_ended():
    env = FakeEnv(2, lengths=[9.0, 9.0], fails={0: (0.1, FALL), 1: (3.1, FALL)})
    ended = [step.ended for step in play(env, id_as_action, torch.tensor([0, 1]))]
    assert len(ended) == 61 and ended[30] == 1 and ended[60] == 2


def test_waves_are_of_similar_length_and_hold_every_clip_once():
    lengths = torch.tensor([3.0, 1.0, 2.0, 1.0, 5.0])
    assert [wave.tolist() for wave in waves(lengths, 2)] == [[1, 3], [2, 0], [4]]
    assert [wave.tolist() for wave in waves(lengths, 9)] == [[1, 3, 2, 0, 4]]
