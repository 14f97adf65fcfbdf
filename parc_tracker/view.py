"""`parc-tracker view`: a model, training, dataset or motion in a browser, live or as one offline page."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parc_core.character.mjcf import load_character
from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import existing_file, resolve
from parc_core.config.resolve import AGENT_FILE, ARGS_FILE, CHECKPOINTS, ENV_FILE, configs_beside
from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.dataset.of_folder import dataset_of_folder
from parc_core.pull import is_remote, model_folder
from parc_core.registry.names import is_reference
from parc_core.system.files import write_text
from parc_tracker.evaluate import environment

if TYPE_CHECKING:
    from parc_core.envs.tracking_env import TrackingEnv
    from parc_core.viewing.clip_scene import ClipScene

COMMAND = "parc-tracker view"
MOTION_FILES = (".pkl", ".npz")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
MOST_CLIPS = 12
"""Of an offline page without --clip."""


@dataclass(frozen=True)
class ViewOptions:
    """What `parc-tracker view` was asked for."""

    env_config: Path | None = None
    dataset: Path | None = None
    char_file: str = "data/assets/humanoid.xml"
    engine: str = "auto"
    device: str = "cpu"
    host: str = "127.0.0.1"
    port: int | None = None
    html: Path | None = None
    clips: tuple[str, ...] = ()
    max_seconds: float = 10.0
    open_browser: bool | None = None


def run_view(what: str, options: ViewOptions) -> None:
    """Shows something until Ctrl-C, or writes the offline page.

    Args:
        what: a model file, a training's folder, `registry:NAME@latest`, a motion, or a dataset's file or folder.

    Raises:
        ConfigError, DataError: it is missing, of another character or empty; the port is taken; viser is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="parc-view-") as scratch:
        model, run = _model_or_run(what, options)
        if model is None and run is None:
            _view_motions(what, options, Path(scratch))
        else:
            _view_policy(model, run, options, Path(scratch))


# ---- what was named


def _model_or_run(what: str, options: ViewOptions) -> tuple[Path | None, Path | None]:
    """A model's file, or a training's folder; neither for motions."""
    if is_reference(what) or is_remote(what):
        return model_folder(what, options.dataset is None, COMMAND), None
    path = Path(resolve(what))
    if not path.exists():
        raise ConfigError(
            f"{what}: no such file or folder; name a model, a training's folder, motions, or registry:NAME@latest"
        )
    if path.suffix == ".pt":
        return path, None
    if path.is_dir() and any((path / name).exists() for name in (ENV_FILE, ARGS_FILE, CHECKPOINTS)):
        if not (path / ENV_FILE).is_file() and options.env_config is None:
            raise ConfigError(
                f"{what}: has no {ENV_FILE} yet; start again when the training runs, or give --env-config"
            )
        return None, path
    return None, None


def _motions_yaml(what: str, scratch: Path, num_bodies: int) -> Path:
    """The dataset file of a motion, of a folder of motions, or the one that was named."""
    path = Path(resolve(what)).absolute()
    if path.is_dir():
        return dataset_of_folder(path, scratch, num_bodies, lambda line: print(line, file=sys.stderr))
    if path.suffix in MOTION_FILES:
        target = scratch / "motions.yaml"
        write_motions_yaml(target, MotionsFile([MotionEntry(str(path), 1.0)]))
        return target
    return path


# ---- motions alone


def _view_motions(what: str, options: ViewOptions, scratch: Path) -> None:
    from parc_core.motion.dataset.loading import load_dataset
    from parc_core.viewing.player import Player
    from parc_core.viewing.source import MotionSource

    character = load_character(existing_file(Path(options.char_file), "--char-file", COMMAND))
    dataset = load_dataset(
        _motions_yaml(what, scratch, character.num_bodies), num_bodies=character.num_bodies
    )
    source = MotionSource(dataset, character)
    chosen = _chosen(source.names, options.clips)
    if options.html is None:
        _serve(Player(source), Path(what).name, options, chosen)
        return
    scenes = []
    for clip in chosen or range(len(source.names)):
        source.select(clip)
        if chosen or source.marks or len(source.names) <= MOST_CLIPS:
            scenes.append(_first(source.scene(clip), options.max_seconds))
        if len(scenes) == MOST_CLIPS and not chosen:
            break
    scenes = scenes or [_first(source.scene(k), options.max_seconds) for k in range(MOST_CLIPS)]
    _write_page(options.html, scenes, character, Path(what).name)


def _first(scene: ClipScene, seconds: float) -> ClipScene:
    """The beginning of a scene."""
    frames = min(scene.num_frames, round(seconds / scene.dt) + 1)

    def cut(figure):
        parts = {name: value[:frames] for name, value in vars(figure).items() if hasattr(value, "shape")}
        return dataclasses.replace(figure, **parts)

    series = tuple(dataclasses.replace(one, values=one.values[:frames]) for one in scene.series)
    marks = tuple(mark for mark in scene.marks if mark.start_s <= seconds)
    return dataclasses.replace(
        scene, figures=[cut(figure) for figure in scene.figures], series=series, marks=marks
    )


# ---- a policy


def _view_policy(model: Path | None, run: Path | None, options: ViewOptions, scratch: Path) -> None:
    from parc_core.evaluation.evaluate import make_evaluation_env
    from parc_core.playback.policy import load_policy
    from parc_core.viewing.newest import NewestModel
    from parc_core.viewing.player import Player
    from parc_core.viewing.policy_source import PolicySource

    folder = configs_beside(model) if model is not None else run
    assert folder is not None
    env_file = environment(options.env_config or folder / ENV_FILE, options.dataset, scratch, COMMAND)
    newest = NewestModel(run) if run is not None else None
    if newest is not None:
        model = newest.look()
        if model is None:
            print(f"{run}: has no checkpoint yet; shown is the untrained policy", file=sys.stderr)
    agent_file = folder / AGENT_FILE
    agent_config = load_agent_config(agent_file) if agent_file.is_file() else AgentConfig()
    if options.html is not None:
        _policy_page(model, env_file, agent_config, options, _title(model, folder))
        return
    env = make_evaluation_env(env_file, options.engine, options.device, num_envs=1)
    source = PolicySource(env, load_policy(model, env, agent_config).act_mode)
    chosen = _chosen(source.names, options.clips)

    def newer() -> str:
        path = newest.look() if newest is not None else None
        if path is None:
            return ""
        try:
            source.set_policy(load_policy(path, env, agent_config).act_mode)
        except DataError as error:  # just being replaced or thinned out; the next look finds another
            return str(error)
        return f"now shown: {path.name}, since {time.strftime('%H:%M:%S')}"

    _serve(Player(source), _title(model, folder), options, chosen, newer if newest is not None else None)


def _policy_page(
    model: Path | None, env_file: EnvFileConfig, agent_config: AgentConfig, options: ViewOptions, title: str
) -> None:
    from parc_core.evaluation.evaluate import make_evaluation_env
    from parc_core.playback.policy import load_policy
    from parc_core.playback.tracks import record_tracks
    from parc_core.viewing.clip_scene import scene_of_track

    env = make_evaluation_env(env_file, options.engine, options.device)
    policy = load_policy(model, env, agent_config).act_mode
    chosen = _chosen(list(env.library.names), options.clips) or _failures_first(env, policy)[:MOST_CLIPS]
    tracks = record_tracks(env, policy, chosen, options.max_seconds)
    scan = env.task.ray_points.cpu().numpy()
    assert options.html is not None
    character = env.kinematics.character.to("cpu")
    _write_page(options.html, [scene_of_track(track) for track in tracks], character, title, scan)


def _failures_first(env: TrackingEnv, policy: Callable) -> list[int]:
    """All clips, those that are lost first."""
    from parc_core.playback.scores import track_all_clips
    from parc_tracker.progress import counting_bar

    with counting_bar("playing") as progress:
        completed = track_all_clips(env, policy, progress).completed.tolist()
    return sorted(range(len(completed)), key=lambda k: (completed[k], k))


def _title(model: Path | None, folder: Path) -> str:
    return f"{folder.absolute().name} · {model.name if model is not None else 'untrained'}"


def _chosen(names: list[str], wanted: tuple[str, ...]) -> list[int]:
    """Places of the clips whose names hold one of these texts, all of them where nothing is wanted: [].

    Raises:
        ConfigError: a text is in no name.
    """
    found: list[int] = []
    for text in wanted:
        matching = [k for k, name in enumerate(names) if text.lower() in name.lower()]
        if not matching:
            raise ConfigError(
                f"--clip {text}: no clip has that in its name; there are {', '.join(names[:5])} …"
            )
        found += [k for k in matching if k not in found]
    return found


# ---- showing


def _write_page(path: Path, scenes, character, title: str, scan=None) -> None:
    from parc_core.viewing.offline import NO_SCAN, offline_page

    page = offline_page(scenes, character, title, scan=NO_SCAN if scan is None else scan)
    write_text(path, page)
    print(
        f"written: {path} ({len(scenes)} clips, {len(page) / 1e6:.2f} MB); open it in any browser, no network needed"
    )


def _serve(
    player, title: str, options: ViewOptions, chosen: list[int], newer: Callable[[], str] | None = None
) -> None:
    from parc_core.viewing.live import LiveViewer, free_port

    port = free_port(options.host, options.port)
    if options.host not in LOCAL_HOSTS:
        print(f"warning: {options.host}: whoever reaches this address can use the viewer", file=sys.stderr)
    if chosen:
        player.choose(chosen[0])
    viewer = LiveViewer(player, title, options.host, port, newer)
    shown = "localhost" if options.host in LOCAL_HOSTS else options.host
    address = f"http://{shown}:{port}"
    print(f"viewer: {address} (Ctrl-C ends it)", flush=True)
    _open(address, port, options.open_browser)
    with suppress(KeyboardInterrupt):  # how one leaves a viewer
        viewer.run()


def _open(address: str, port: int, wanted: bool | None) -> None:
    """Opens a browser where there is a screen, or where it is wanted; says what to do where there is none."""
    screen = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if wanted is False or (wanted is None and not screen):
        return
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        print(
            f"no browser can be opened here; open {address} yourself, from elsewhere after"
            f" ssh -L {port}:localhost:{port} THIS_MACHINE",
            file=sys.stderr,
        )
