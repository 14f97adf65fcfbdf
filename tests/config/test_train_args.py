"""`train_args.txt`: written, read back, PARC's names."""

from __future__ import annotations

import dataclasses

import pytest

from parc_core.config.train_args import (
    TrainArgs,
    output_folder,
    parse_tokens,
    read_train_args,
    write_train_args,
)
from parc_core.errors import ConfigError

ARGS = TrainArgs(
    env_config="/out dir/dm_env.yaml", agent_config="a#b.yaml", output_dir="/out dir", num_envs=8, max_samples=10**12,
    device="cpu", engine="mujoco", in_model_file="it's.pt", seed=3,
)  # fmt: skip


def write(tmp_path, text):
    (tmp_path / "train_args.txt").write_text(text)
    return tmp_path / "train_args.txt"


def test_round_trip_with_blanks_and_quotes(tmp_path):
    path = tmp_path / "train_args.txt"
    write_train_args(path, ARGS)
    assert read_train_args(path) == ARGS
    lines = path.read_text().splitlines()
    assert "--num_envs 8" in lines
    assert all(line.startswith("--") for line in lines)


def test_no_model_is_left_out(tmp_path):
    path = write(
        tmp_path, "--env_config e --agent_config a --output_dir o --in_model_file None --device cpu\n"
    )
    args = read_train_args(path)
    assert args.in_model_file is None
    write_train_args(path, args)
    assert "in_model_file" not in path.read_text()
    assert read_train_args(path) == args


def test_parcs_argument_file(tmp_path):
    path = write(
        tmp_path,
        "# PARC\n--mode train\n--num_envs 4096\n--env_config e.yaml\n--agent_config a.yaml\n--device cuda:1\n"
        "--log_file out/log.txt\n--out_model_file out/model.pt\n--int_output_dir out/checkpoints\n--logger tb\n"
        "--model_file old.pt\n--rand_seed 5\n--visualize false\n--max_samples 1e9\n",
    )
    args = read_train_args(path)
    assert (args.output_dir, args.in_model_file, args.seed) == ("out", "old.pt", 5)
    assert (args.num_envs, args.max_samples, args.device) == (4096, 10**9, "cuda:1")
    # Log and checkpoints lie where PARC has them, and no window opens: no word is needed.
    assert [line.split("'")[1] for line in args.ignored] == ["--logger"]


def test_output_dir_wins_over_parcs_model_path(tmp_path):
    text = "--env_config e --agent_config a --out_model_file x/model.pt --output_dir y --device cpu"
    assert read_train_args(write(tmp_path, text)).output_dir == "y"
    text = "--output_dir y --env_config e --agent_config a --out_model_file x/model.pt --device cpu"
    assert read_train_args(write(tmp_path, text)).output_dir == "y"


def test_overrides_from_a_command_line(tmp_path):
    path = tmp_path / "train_args.txt"
    write_train_args(path, ARGS)
    args = read_train_args(path, {"rand_seed": "9", "num_envs": "16"})
    assert (args.seed, args.num_envs, args.device) == (9, 16, "cpu")


def test_several_gpus_are_written_and_one_is_not(tmp_path):
    """PARC's program, which reads the file too, does not know the argument."""
    path = tmp_path / "train_args.txt"
    write_train_args(path, ARGS)
    assert "gpus" not in path.read_text()
    several = dataclasses.replace(ARGS, gpus=4)
    write_train_args(path, several)
    assert "--gpus 4\n" in path.read_text()
    assert read_train_args(path) == several
    with pytest.raises(ConfigError, match=r"'num_envs' is 8, which 'gpus' \(3\) does not divide.* 6 or 9$"):
        read_train_args(path, {"gpus": "3"})


def test_data_dir_in_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/data")
    path = write(tmp_path, "--env_config $DATA_DIR/e --agent_config a --output_dir $DATA_DIR/o --device cpu")
    args = read_train_args(path)
    assert args.env_config == "/data/e"
    assert str(output_folder(args)) == "/data/o"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--num_env 3", "unknown argument '--num_env'; the nearest known one is '--num_envs'"),
        ("--ignored x", "unknown argument '--ignored'"),
        ("--mode test", "use 'parc-tracker eval'"),
        ("--seed", "argument '--seed' has no value"),
        ("--seed --device cpu", "argument '--seed' has no value"),
        ("seed 3", "'seed' belongs to no argument"),
        ("--device 'cpu", "broken argument file"),
        ("--device cpu", "missing key 'env_config'"),
        (
            "--env_config a --agent_config b --output_dir c --num_envs few",
            "'num_envs' must be a whole number",
        ),
        ("--env_config a --agent_config b --output_dir c --device tpu", "'device' is 'tpu'"),
    ],
)
def test_bad_files_end_in_one_line(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        read_train_args(write(tmp_path, text))
    assert words in str(caught.value)
    assert "train_args.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_train_args(tmp_path / "nothing.txt")


def test_tokens():
    assert parse_tokens(["--a=1", "--b", "-2", "--c="], "x") == {"a": "1", "b": "-2", "c": ""}


def test_parcs_program_reads_ours(tmp_path):
    """Where the model, its checkpoints and the log go, and what to start from, under PARC's names; ours come first."""
    path = tmp_path / "train_args.txt"
    args = dataclasses.replace(ARGS, output_dir="/out", in_model_file="/old/model.pt")
    write_train_args(path, args)
    lines = dict(line.split(maxsplit=1) for line in path.read_text().splitlines())
    assert lines["--out_model_file"] == "/out/model.pt"
    assert lines["--int_output_dir"] == "/out/checkpoints"
    assert lines["--log_file"] == "/out/log.txt"
    assert lines["--model_file"] == "/old/model.pt"
    assert (lines["--mode"], lines["--visualize"]) == ("train", "False")
    assert read_train_args(path) == args and read_train_args(path).ignored == ()
    path.write_text(path.read_text().replace(f"--seed {args.seed}", "--seed 99"))
    assert read_train_args(path).seed == 99
    assert read_train_args(path, {"in_model_file": "/other.pt"}).in_model_file == "/other.pt"


@pytest.mark.parametrize(
    "seed", ["-1", str(2**32), str(1 + 2**32), str(2**63), str(2**64), "1e30", "9" * 5000]
)
def test_seeds_beyond_what_the_generators_take(tmp_path, seed):
    """torch's generator on the CPU drops all but 32 bits: two seeds would give the same model."""
    with pytest.raises(ConfigError, match=r"'seed' (is|must be)") as caught:
        read_train_args(
            write(tmp_path, f"--env_config e --agent_config a --output_dir o --device cpu --seed {seed}\n")
        )
    assert len(str(caught.value)) < 300 + len(str(tmp_path))
    assert caught.value.exit_code == 78


def test_the_largest_seed(tmp_path):
    path = write(
        tmp_path, f"--env_config e --agent_config a --output_dir o --device cpu --seed {2**32 - 1}\n"
    )
    assert read_train_args(path).seed == 2**32 - 1
