"""The live viewer: a page by viser with the scene, a timeline, a chooser of clips, numbers and pushes.

viser calls back on threads of its own; what people do there is queued, and the one loop that simulates, too, does it.
"""

from __future__ import annotations

import contextlib
import io
import queue
import socket
import threading
import time
from functools import partial
from typing import Any, Callable, List, Optional

import numpy as np

from parc_core.errors import ConfigError
from parc_core.system.extras import install_extra
from parc_core.viewing.live_numbers import numbers_html
from parc_core.viewing.live_scene import LiveScene, Shown, body_under
from parc_core.viewing.player import SPEEDS, Player
from parc_core.viewing.source import Frame

DEFAULT_PORT = 8080
PUSH_S = 0.2
_TICK_S = 1 / 60
_NUMBERS_S = 0.1  # between two updates of the numbers
_MOST_LISTED = 500  # clips in the chooser; the search finds the others
_PORTS_TRIED = 20
_SHOWN = {"contacts": "contacts, forces", "scan": "height scan", "follow": "follow the character"}


def import_viser() -> Any:
    """The package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise ConfigError(f"the viewer needs viser; {install_extra('viewer')}") from error
    return viser


def free_port(host: str, port: Optional[int]) -> int:
    """The port asked for, or from `DEFAULT_PORT` on the first one that is free.

    Raises:
        ConfigError: it is taken, or the address is not this machine's.
    """
    wanted = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if port is None else [port]
    problem: Optional[OSError] = None
    for candidate in wanted:
        try:
            found = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with socket.socket(found[0], found[1]) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found[4])
            return candidate
        except OSError as error:
            problem = error
    which = f"port {port}" if port is not None else f"ports {wanted[0]} to {wanted[-1]}"
    reason = problem.strerror if problem is not None else ""
    raise ConfigError(f"{host}, {which}: {reason}; choose another --port or --host")


class LiveViewer:
    """Serves one source until it is stopped.

    Args:
        player: over the source.
        title: of the page.
        host, port: where; see `free_port`.
        newer: asked every two seconds; says what newer model the source has taken, or "".
    """

    def __init__(
        self, player: Player, title: str, host: str, port: int, newer: Optional[Callable[[], str]] = None
    ) -> None:
        viser = import_viser()
        self.player, self.shown = player, Shown()
        self._newer, self._asked = newer, 0.0
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._numbers_at = 0.0
        self._listed: List[int] = []
        with contextlib.redirect_stdout(io.StringIO()):  # its banner; the command says the address itself
            self.server = viser.ViserServer(host=host, port=port, label=title)
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self.server.gui.set_panel_label(title)
        self.server.initial_camera.position = (2.6, -2.9, 1.9)
        self.server.initial_camera.look_at = (0.0, 0.0, 0.9)
        self._scene = LiveScene(self.server.scene, player.source)
        self._build(self.server.gui)
        self._show_clip()

    # ---- controls

    def _build(self, gui: Any) -> None:
        source = self.player.source
        self._status = gui.add_markdown("")
        with gui.add_folder("Clip"):
            self._search = gui.add_text("search", "")
            self._clips = gui.add_dropdown("clip", self._labels([0]))
            buttons = gui.add_button_group("go to", ["previous", "next", "next failure"])
        with gui.add_folder("Time"):
            self._play = gui.add_button("play")
            steps = gui.add_button_group("frame", ["back", "on", "start"])
            self._slider = gui.add_slider("at", 0, max(source.num_frames - 1, 1), 1, 0)
            speed = gui.add_dropdown("speed", [f"{value:g}×" for value in SPEEDS], initial_value="1×")
            repeat = gui.add_checkbox("repeat", False)
        with gui.add_folder("Show", expand_by_default=False):
            for name, on in vars(Shown()).items():
                box = gui.add_checkbox(_SHOWN.get(name, name), on)
                self._on(box.on_update, partial(self._toggle, name))
        if source.can_push:
            self._build_push(gui)
        with gui.add_folder("Numbers"):
            self._numbers = gui.add_html("")
        self._fill()
        self._on(self._search.on_update, lambda event: self._fill())
        self._on(self._clips.on_update, lambda event: self._choose_label(event.target.value))
        self._on(buttons.on_click, lambda event: self._go(event.target.value))
        self._on(self._play.on_click, lambda event: self.player.play(not self.player.playing))
        self._on(steps.on_click, lambda event: self._step(event.target.value))
        self._on(self._slider.on_update, lambda event: self._scrub(int(event.target.value)))
        self._on(speed.on_update, lambda event: setattr(self.player, "speed", float(event.target.value[:-1])))
        self._on(repeat.on_update, lambda event: setattr(self.player, "repeat", bool(event.target.value)))

    def _build_push(self, gui: Any) -> None:
        with gui.add_folder("Push"):
            self._force = gui.add_slider("force (N)", 50, 2000, 50, 600, hint=f"for {PUSH_S} s")
            gui.add_markdown("Click a body: it is pushed away from you.")
            sides = gui.add_button_group("push the torso", ["+x", "−x", "+y", "−y"])
        axes = {"+x": (1, 0, 0), "−x": (-1, 0, 0), "+y": (0, 1, 0), "−y": (0, -1, 0)}
        self._on(sides.on_click, lambda event: self._push(None, np.array(axes[event.target.value], float)))
        self._on(self.server.scene.on_click(), self._click, direct=True)

    def _on(self, register: Callable, act: Callable[[Any], None], direct: bool = False) -> None:
        """Does `act` in the loop whenever a person uses a control; what the loop itself sets is not echoed."""

        def handle(event: Any) -> None:
            if direct or getattr(event, "client", None) is not None:
                self._todo.put(lambda: act(event))

        register(handle)

    def _labels(self, clips: List[int]) -> List[str]:
        return [f"{k + 1}: {self.player.source.names[k]}" for k in clips] or ["(no clip matches)"]

    def _fill(self) -> None:
        """The chooser with what the search finds; of very many the first, and the present one."""
        self._listed = self.player.matching(self._search.value)
        shown = self._listed[:_MOST_LISTED]
        if self.player.clip in self._listed and self.player.clip not in shown:
            shown = [*shown, self.player.clip]
        self._clips.options = self._labels(shown)
        if self.player.clip in shown:
            self._clips.value = self._labels([self.player.clip])[0]
        elif shown:
            self._choose(shown[0])

    def _choose_label(self, label: str) -> None:
        number = label.partition(":")[0]
        if number.isdigit() and int(number) - 1 != self.player.clip:
            self._choose(int(number) - 1)

    def _choose(self, clip: int) -> None:
        self.player.choose(clip)
        self._show_clip()

    def _go(self, where: str) -> None:
        if where == "next failure":
            self._next_failure()
            return
        clips = self._listed or list(range(len(self.player.source.names)))
        at = clips.index(self.player.clip) if self.player.clip in clips else 0
        self._choose(clips[(at + (1 if where == "next" else -1)) % len(clips)])

    def _next_failure(self) -> None:
        def look(done: int, total: int) -> bool:
            self._status.content = f"looking for a failure: {done} of {total} clips"
            return self._todo.empty() and not self._stop.is_set()

        found = self.player.next_failure(self._listed or None, look)
        self._show_clip()
        if not found:
            self._status.content = "no failure found"

    def _step(self, what: str) -> None:
        if what == "start":
            self.player.seek(0)
        else:
            self.player.step(1 if what == "on" else -1)
        self._draw()

    def _scrub(self, frame: int) -> None:
        if frame != self.player.frame:
            self.player.playing = False
            self.player.seek(frame)
            self._draw()

    def _toggle(self, name: str, event: Any) -> None:
        setattr(self.shown, name, bool(event.target.value))
        self._draw()

    def _click(self, event: Any) -> None:
        origin = np.asarray(event.ray_origin) - self._scene.shift
        direction = np.asarray(event.ray_direction)
        body = body_under(self.player.now(), origin, direction)
        if body is not None:
            self._push(body, direction)

    def _push(self, body: Optional[int], direction: np.ndarray) -> None:
        names = self.player.source.character.body_names
        if body is None:
            body = names.index("torso") if "torso" in names else 0
        force = float(self._force.value) * direction / max(float(np.linalg.norm(direction)), 1e-9)
        self.player.source.push(self.player.frame, body, force, PUSH_S)
        self._status.content = f"pushed: {names[body]}, {self._force.value:g} N at {self.player.time:.2f} s"
        self.player.play(True)

    # ---- drawing

    def _show_clip(self) -> None:
        label = self._labels([self.player.clip])[0]
        if label not in self._clips.options:
            self._clips.options = [*self._clips.options, label]
        self._clips.value = label
        self._status.content = ""
        self._scene.new_ground()
        self._draw()

    def _draw(self) -> None:
        frame = self.player.now()
        with self.server.atomic():
            self._scene.draw(frame, self.shown)
            self._slider.max = max(self.player.num_frames - 1, 1)
            self._slider.value = self.player.frame
            self._say(frame)

    def _say(self, frame: Frame) -> None:
        now = time.monotonic()
        if self.player.playing and now - self._numbers_at < _NUMBERS_S:
            return
        self._numbers_at = now
        self._play.label = "pause" if self.player.playing else "play"
        self._numbers.content = numbers_html(self.player, frame)

    # ---- the loop

    def run(self) -> None:
        """Until `stop` or an exception such as Ctrl-C, from this thread; the server ends with it."""
        last = time.monotonic()
        try:
            while not self._stop.is_set():
                self._do_all()
                now = time.monotonic()
                was_playing = self.player.playing
                if self.player.tick(now - last) or was_playing != self.player.playing:
                    self._draw()
                last = now
                self._ask_for_newer(now)
                self._stop.wait(max(0.0, _TICK_S - (time.monotonic() - now)))
        finally:
            self.server.stop()

    def stop(self) -> None:
        """Ends `run`; from any thread."""
        self._stop.set()

    def _do_all(self) -> None:
        while True:
            try:
                act = self._todo.get_nowait()
            except queue.Empty:
                return
            act()
            self._say(self.player.now())

    def _ask_for_newer(self, now: float) -> None:
        if self._newer is None or now - self._asked < 2.0:
            return
        self._asked = now
        said = self._newer()
        if said:
            self._status.content = said
            self.player.seek(self.player.frame)
            self._draw()
