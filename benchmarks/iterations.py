"""The PARC loop without its generator: train, record, train on initial and recorded motions, record again.

`python -m benchmarks iterations MOTIONS… --config data/configs/gpu/tracker.yaml --samples 100000000` takes folders of
motion classes. Each iteration but the first starts from the last model, under the same settings. What is done already
in `--folder` is not done again, and a training that was stopped is resumed. Recordings are compared with the references
that they were made of.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, machine_line
from parc_core.character.mjcf import load_character
from parc_core.config.agent_config import load_agent_config
from parc_core.config.dataset_config import load_dataset_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import resolve
from parc_core.config.resolve import AGENT_FILE, ENV_FILE
from parc_core.config.tracker_config import load_tracker_config
from parc_core.evaluate import Runner, evaluate_and_save
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.quality import QualityMeter, mean_quality
from parc_core.record import RecordJob, record
from parc_core.recording.names import FOLDER
from parc_core.recording.result import Recording
from parc_core.supervisor.local_training import train_from_config
from parc_core.supervisor.supervise import Listener
from parc_core.system.files import write_json
from parc_tracker.tables import print_table


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the iterations, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks iterations", description=__doc__)
    parser.add_argument("motions", nargs="+", help="folders of motion classes")
    parser.add_argument("--config", default="data/configs/gpu/tracker.yaml", help="tracker config")
    parser.add_argument("--samples", type=int, default=100_000_000, help="of each training")
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("output/iterations"))
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/iterations.json"))
    args = parser.parse_args(argv)
    folder = args.folder.absolute()
    done: List[Dict[str, Any]] = []
    for number in range(1, args.iterations + 1):
        done.append(_iteration(folder, number, args))
        write_json(args.json, {"benchmark": "iterations", "machine": machine(), "iterations": done})
    print_table(table(done))
    Console(soft_wrap=True).print(f"{machine_line(machine())}. JSON: {args.json}")


def _iteration(folder: Path, number: int, args: argparse.Namespace) -> Dict[str, Any]:
    """Trains, evaluates and records; the numbers of all three."""
    place, before = folder / f"iteration_{number}", folder / f"iteration_{number - 1}"
    begin = time.monotonic()
    trained = train_from_config(_config(place, before, number, args), Listener(output=_say, note=_say))
    seconds = time.monotonic() - begin
    env_file, agent = load_env_config(trained / ENV_FILE), load_agent_config(trained / AGENT_FILE)
    tracker = load_tracker_config(place / "tracker.yaml")
    runner = Runner(tracker.engine, tracker.device)
    model = trained / "model.pt"
    evaluation = evaluate_and_save(model, env_file, agent, place / "evaluation", runner).result
    begin = time.monotonic()
    job = RecordJob(model, env_file, agent, place / "recordings", tracker.engine, tracker.device)
    recording = record(job)
    return {
        "training_s": round(seconds, 1),
        "recording_s": round(time.monotonic() - begin, 1),
        "evaluation": evaluation.to_json()["summary"],
        "recording": recording.summary(),
        "references": _references(recording, str(env_file.env.dm.motion_file), env_file.env.char_file),
    }


def _config(place: Path, before: Path, number: int, args: argparse.Namespace) -> Path:
    """The tracker config of an iteration; with its dataset's and agent's."""
    tracker = yaml.safe_load(resolve(args.config).read_text())
    dataset = yaml.safe_load(resolve(tracker["create_dataset_config"]).read_text())
    folders = [str(Path(folder).absolute()) for folder in args.motions]
    if number > 1:
        if (before / "recordings" / FOLDER).is_dir():  # not where nothing could be recorded
            folders.append(str(before / "recordings" / FOLDER))
        tracker["in_model_file"] = str(before / "training" / "model.pt")
    dataset.update(folder_paths=folders, save_path=str(place / "motions.yaml"))
    agent = yaml.safe_load(resolve(tracker["agent_config"]).read_text())
    agent["model"].pop("action_std_anneal_samples", None)  # falls with these samples
    place.mkdir(parents=True, exist_ok=True)
    (place / "dataset.yaml").write_text(yaml.safe_dump(dataset))
    (place / "agent.yaml").write_text(yaml.safe_dump(agent))
    tracker.update(
        create_dataset_config=str(place / "dataset.yaml"),
        agent_config=str(place / "agent.yaml"),
        output_dir=str(place / "training"),
        max_samples=args.samples,
    )
    (place / "tracker.yaml").write_text(yaml.safe_dump(tracker))
    load_dataset_config(place / "dataset.yaml")
    return place / "tracker.yaml"


def _say(line: str) -> None:
    print(line, flush=True)


def _references(recording: Recording, motions_yaml: str, char_file: str) -> Dict[str, Any]:
    """Mean quality of the references of the motions that were recorded."""
    meter = QualityMeter(load_character(resolve(char_file)))
    parts = []
    for entry, motion in zip(read_motions_yaml(motions_yaml).entries, recording.motions):
        content = read_motion_terrain(entry.file)
        if motion.recorded and content.motion is not None and content.terrain is not None:
            parts.append(meter.measure(content.motion, content.terrain))
    return mean_quality(parts)


def table(iterations: List[Dict[str, Any]]) -> Table:
    """One row for each iteration's recordings, one for the references that they were made of."""
    rows = Table(title="Iterations, each on its own motions")
    rows.add_column("iteration")
    numbers = ("completed", "joint error (m)", "recorded", "by start", "training (s)", "recording (s)")
    quality = ("penetration, mean (m)", "deepest (m)", "skating (m/s)", "jerk (m/s³)")
    for name in (*numbers, *quality):
        rows.add_column(name, justify="right")
    for number, each in enumerate(iterations, start=1):
        found, recorded = each["evaluation"], each["recording"]
        starts = ", ".join(f"{share}: {count}" for share, count in recorded["by_start_fraction"].items())
        rows.add_row(
            str(number),
            f"{found['completed']} of {found['clips']}",
            f"{found['joint_error_m']:.4f}",
            f"{recorded['recorded']} of {recorded['motions']}",
            starts,
            f"{each['training_s']:.0f}",
            f"{each['recording_s']:.1f}",
            *_quality(recorded["quality"]),
        )
        rows.add_row("  references", "", "", "", "", "", "", *_quality(each["references"]))
    return rows


def _quality(means: Dict[str, Any]) -> List[str]:
    names = ("penetration_mean_m", "penetration_max_m", "foot_skating_m_s", "jerk_m_s3")
    return ["-" if means[name] is None else f"{means[name]:.4g}" for name in names]
