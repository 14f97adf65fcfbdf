"""Names of columns of log.txt. No PyTorch here: what speaks of a training imports them before it."""

from __future__ import annotations

EPISODE_COLUMNS = ("Train_Return", "Train_Episode_Length", "Episodes", "Completed")
TEST_COLUMNS = ("Test_Return", "Test_Episode_Length", "Test_Episodes")
EVALUATION_COLUMNS = ("Eval_Completed", "Eval_Tracked", "Eval_Joint_Error", "Eval_Return", "Eval_Clips")
HELD_OUT_COLUMNS = tuple(name.replace("Eval", "Held_Out") for name in EVALUATION_COLUMNS)
LOSS_COLUMNS = (
    "loss",
    "actor_loss",
    "critic_loss",
    "clip_frac",
    "imp_ratio",
    "kl",
    "action_bound_loss",
    "action_entropy",
    "action_reg_loss",
    "adv_mean",
    "adv_std",
    "grad_norm",
    "learning_rate",
    "action_std",
    "termination_scale",
)


def title(name: str) -> str:
    """The column of a number of the update: `actor_loss` is `Actor_Loss`."""
    return "_".join(part.capitalize() for part in name.split("_"))
