"""The player's state: which clip and frame are shown, and how time moves them. No drawing, no browser."""

from __future__ import annotations

from typing import Callable, List, Optional

from parc_core.viewing.source import Frame, Source

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0)
BEFORE_A_MARK_S = 0.5  # where a jump to a failure starts


class Player:
    """Plays clips of a source.

    Attributes:
        clip: number of the clip.
        frame: number of the frame that is shown.
        playing, speed, repeat: whether time moves, how fast, and whether a clip begins anew at its end.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.clip, self.frame = 0, 0
        self.playing, self.repeat = False, False
        self.speed = 1.0
        self._ahead = 0.0  # s that have passed since the frame that is shown

    @property
    def num_frames(self) -> int:
        return self.source.num_frames

    @property
    def time(self) -> float:
        """s in the clip."""
        return self.frame * self.source.dt

    def now(self) -> Frame:
        """What there is to see."""
        found = self.source.frame(self.frame)
        self.frame = min(self.frame, self.num_frames - 1)  # beyond it, or simulating has found it
        return found

    def choose(self, clip: int, frame: int = 0) -> None:
        """Another clip, or the same one from its start; whether it plays stays as it is.

        Raises:
            IndexError: there is no such clip.
        """
        if not 0 <= clip < len(self.source.names):
            raise IndexError(f"clip {clip}: there are {len(self.source.names)}")
        self.clip = clip
        self.source.select(clip)
        self.seek(frame)

    def seek(self, frame: int) -> None:
        """Shows a frame; beyond the ends the first or last."""
        self.frame = min(max(frame, 0), self.num_frames - 1)
        self._ahead = 0.0

    def step(self, frames: int) -> None:
        """Stops, and goes some frames on or back."""
        self.playing = False
        self.seek(self.frame + frames)

    def play(self, on: bool) -> None:
        """Plays or stops; at the end of a clip it plays from its start."""
        if on and not self.playing and self.frame >= self.num_frames - 1:
            self.seek(0)
        self.playing, self._ahead = on, 0.0

    def tick(self, seconds: float) -> bool:
        """Lets time pass; True where another frame is to be shown."""
        if not self.playing:
            return False
        before = self.frame
        self._ahead += self.speed * seconds
        frames = int(self._ahead / self.source.dt + 1e-9)
        self._ahead -= frames * self.source.dt
        self.frame += frames
        self.now()  # never beyond the clip's end
        last = self.num_frames - 1
        if self.repeat and before + frames > last:
            self.seek(0)
        elif not self.repeat and self.frame >= last:
            self.playing = False
        return self.frame != before

    def matching(self, text: str) -> List[int]:
        """Clips whose names hold all words of a search, upper or lower case."""
        words = text.lower().split()
        return [k for k, name in enumerate(self.source.names) if all(word in name.lower() for word in words)]

    def next_failure(
        self, among: Optional[List[int]] = None, look: Callable[[int, int], bool] = lambda done, total: True
    ) -> bool:
        """Goes to the next clip with a mark, shortly before it; where there is none, stays at the clip.

        Args:
            among: clips to look at, all by default, in turn from the one behind the present clip.
            look: told how many clips were looked at and of how many; False ends the search.
        """
        clips = list(range(len(self.source.names))) if among is None else among
        later = [k for k in clips if k > self.clip] + [k for k in clips if k <= self.clip]
        start, at = self.clip, self.frame
        for done, clip in enumerate(later):
            if not look(done, len(later)):
                break
            self.source.select(clip)
            number = 0
            while number < self.num_frames - 1 and not self.source.marks:
                number += 1
                self.source.frame(number)
            if self.source.marks:
                mark = self.source.marks[0]
                self.clip = clip
                self.seek(round((mark.start_s - BEFORE_A_MARK_S) / self.source.dt))
                return True
        self.choose(start, at)
        return False
