"""Videos and cameras: frames in, an .mp4 with drawings out. OpenCV reads and writes them."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ssd.errors import InputError

CAMERA = "camera:"
SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"}
REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements/video.txt"

# MPEG-4 part 2: of what OpenCV's wheels can write, the one that every player and editor opens.
_CODEC = "mp4v"
_MOST_FRAMES_PER_SECOND = 240.0
_USUAL_FRAMES_PER_SECOND = 25.0  # where neither file nor camera tells

Detections = list[dict[str, Any]]


@dataclass
class Video:
    """What was found in a video.

    Attributes:
      source: as given.
      size: (height, width) of its frames, as a viewer shows them.
      frames_per_second: of the file, or as the camera states it.
      times, detections: one of each per frame: seconds from the first one on, and `detect`'s list.
      stated: how many frames the file says it has; 0 for a camera.
      seconds: how long it took.
      is_interrupted: by Ctrl-C; what came before is here.
    """

    source: str
    size: tuple[int, int] = (0, 0)
    frames_per_second: float = 0.0
    times: list[float] = field(default_factory=list)
    detections: list[Detections] = field(default_factory=list)
    stated: int = 0
    seconds: float = 0.0
    is_interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        """Returns file, height, width, frames_per_second, and frame, time, detections of each."""
        rows = enumerate(zip(self.times, self.detections, strict=True))
        return {
            "file": self.source,
            "height": self.size[0],
            "width": self.size[1],
            "frames_per_second": self.frames_per_second,
            "frames": [{"frame": n, "time": at, "detections": found} for n, (at, found) in rows],
        }

    def line(self) -> str:
        """Returns how many frames were looked at, and how fast."""
        speed = len(self.times) / max(self.seconds, 1e-6)
        of = f" of {self.stated}" if self.stated > len(self.times) else ""
        return f"{len(self.times)}{of} frames, {speed:.1f} a second"


def is_video(source: str | os.PathLike[str]) -> bool:
    """Returns whether it is camera:N or a file that is called like a video."""
    text = os.fspath(source)
    return text.startswith(CAMERA) or os.path.splitext(text)[1].lower() in SUFFIXES


def require_opencv(source: str) -> Any:
    """Returns the module cv2, told to keep its messages to itself.

    Raises:
      InputError: it is not installed.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2  # late: only videos need it, and it is not in requirements.txt
    except ImportError as error:
        command = shlex.join([sys.executable, "-m", "pip", "install", "-r", str(REQUIREMENTS)])
        raise InputError(f"{source}: videos and cameras need OpenCV; run {command}") from error
    return cv2


def run(
    source: str,
    detect: Callable[[np.ndarray], Detections],
    draw: Callable[[np.ndarray, Detections], np.ndarray],
    *,
    output: Path | None,
    limit: int | None = None,
) -> Video:
    """Returns what `detect` finds in every frame; writes the drawn frames to `output`.

    The file appears when the last frame is in it. After Ctrl-C it has the frames until then, and
    none is written before the first frame. A camera's file plays as fast as it happened: a frame
    stays until the next one was looked at.

    Args:
      source: a video file or camera:N.
      detect: of uint8 [h, w, 3], RGB.
      draw: frame and detections -> uint8 [h, w, 3].
      output: an .mp4; None writes nothing.
      limit: frames to look at; None looks at all, of a camera until Ctrl-C.

    Raises:
      InputError: no such camera, no video, or the output cannot be written.
    """
    cv2 = require_opencv(source)
    capture = _open(cv2, source)
    video = Video(source, frames_per_second=_rate(capture.get(cv2.CAP_PROP_FPS)))
    if not source.startswith(CAMERA):
        stated = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        video.stated = stated if limit is None else min(stated, limit)
    out = _OutputFile(cv2, output, video.frames_per_second)
    started = time.monotonic()
    try:
        try:
            _look(video, _frames(capture, limit), detect, draw, out)
        except KeyboardInterrupt:
            video.is_interrupted = True
        out.finish()
    finally:
        capture.release()
        out.discard()
    video.seconds = time.monotonic() - started
    if not video.times and not video.is_interrupted:
        raise InputError(f"{source}: no frame can be read from it; a whole video was expected")
    return video


def _look(
    video: Video,
    frames: Iterator[np.ndarray],
    detect: Callable[[np.ndarray], Detections],
    draw: Callable[[np.ndarray, Detections], np.ndarray],
    out: _OutputFile,
) -> None:
    """Goes through the frames: `video` and `out` take what is found."""
    is_camera, rate = video.source.startswith(CAMERA), video.frames_per_second
    first = 0.0
    with tqdm(total=video.stated or None, unit="frame", desc=video.source, disable=None) as bar:
        for number, frame in enumerate(frames):
            video.size = (frame.shape[0], frame.shape[1])
            found = detect(frame)
            # The first call builds the graph, which is no part of what the camera saw.
            first = first or time.monotonic()
            at = time.monotonic() - first if is_camera else number / rate
            video.times.append(round(at, 3))
            video.detections.append(found)
            if out.is_wanted:
                out.write(draw(frame, found), 1 + int(at * rate) if is_camera else number + 1)
            bar.update()


def _open(cv2: Any, source: str) -> Any:
    if source.startswith(CAMERA):
        number = source.removeprefix(CAMERA)
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"{source}: a number was expected behind {CAMERA}, such as camera:0")
        capture = cv2.VideoCapture(int(number))
        reason = "no such camera, or another program has it"
    else:
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG)
        reason = "not a video that OpenCV's FFmpeg can read; is it whole?"
    if not capture.isOpened():
        raise InputError(f"{source}: {reason}")
    return capture


def _rate(stated: float) -> float:
    is_usable = math.isfinite(stated) and 0 < stated <= _MOST_FRAMES_PER_SECOND
    return stated if is_usable else _USUAL_FRAMES_PER_SECOND


def _frames(capture: Any, limit: int | None) -> Iterator[np.ndarray]:
    """Yields uint8 [h, w, 3], RGB, turned as the file's orientation says."""
    number = 0
    while limit is None or number < limit:
        is_read, frame = capture.read()
        if not is_read:
            return
        yield np.ascontiguousarray(frame[:, :, ::-1])
        number += 1


class _OutputFile:
    """The .mp4, under another name until it is finished."""

    def __init__(self, cv2: Any, path: Path | None, frames_per_second: float) -> None:
        self.is_wanted = path is not None
        self._path = path or Path()
        self._aside = self._path.with_name(f".{self._path.stem}.tmp.mp4") if path else Path()
        self._cv2 = cv2
        self._rate = frames_per_second
        self._file: Any = None
        self._written = 0

    def write(self, frame: np.ndarray, until: int) -> None:
        """Appends the frame as often as the file then has `until` frames."""
        pixels = np.ascontiguousarray(frame[:, :, ::-1])
        self._file = self._file or self._made(frame.shape[1], frame.shape[0])
        while self._written < until:
            self._file.write(pixels)
            self._written += 1

    def finish(self) -> None:
        """Gives the file its name; without a frame there is none."""
        if self._written == 0:
            return
        self._file.release()
        # OpenCV says nothing of a full disk.
        reader = self._cv2.VideoCapture(str(self._aside), self._cv2.CAP_FFMPEG)
        found = int(reader.get(self._cv2.CAP_PROP_FRAME_COUNT))
        reader.release()
        if found != self._written:
            what = f"{found} of {self._written} frames were written; is the disk full?"
            raise InputError(f"{self._path}: {what}")
        os.replace(self._aside, self._path)

    def discard(self) -> None:
        """Removes what has no name yet."""
        if self._file is not None:
            self._file.release()
            self._aside.unlink(missing_ok=True)

    def _made(self, width: int, height: int) -> Any:
        try:
            self._aside.parent.mkdir(parents=True, exist_ok=True)
            self._aside.touch()
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror})") from error
        codec = self._cv2.VideoWriter_fourcc(*_CODEC)
        file = self._cv2.VideoWriter(
            str(self._aside), self._cv2.CAP_FFMPEG, codec, self._rate, (width, height)
        )
        if not file.isOpened():
            self._aside.unlink()
            raise InputError(f"{self._path}: no {_CODEC} video of {width}x{height} can be written")
        return file
