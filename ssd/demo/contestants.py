"""The models that are compared: which ones, what they are called, what they find, how fast."""

from __future__ import annotations

import hashlib
import math
import statistics
import string
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ssd.demo.comparison import Detection
from ssd.detect import detect
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.predictor import Predictor, load_predictor
from ssd.run_folder import RUNS, newest_run

EXPORTS = Path("exports")
LOWEST_SCORE = 0.01  # detections below it are not kept
MOST_MODELS = 8

# The most exact first: the others are compared with it.
_EXPORTED = tuple(
    f"model_{precision}{form}.tflite"
    for form in ("", "_raw")
    for precision in ("float32", "float16", "dynamic", "int8")
)
_TIMED_RUNS, _TIMED_SECONDS = 5, 1.0
_KEPT_PICTURES = 16
# Longest side of the pictures on the page: tags stay readable, and a slider answers at once.
_SMALLEST_SIDE, _LARGEST_SIDE = 640, 1280


@dataclass(frozen=True)
class Contestant:
    """One of the models.

    Attributes:
      title: its letter and the part of its path that tells it from the others.
      path: as given.
      predictor: runs it, and knows how long that took.
    """

    title: str
    path: str
    predictor: TimedPredictor

    @property
    def letter(self) -> str:
        """A, B, ..."""
        return self.title[0]

    @property
    def input(self) -> str:
        """Width and height of the pictures it takes."""
        size = self.predictor.image_size
        return "any" if size is None else f"{size[1]}x{size[0]}"


@dataclass(frozen=True)
class Findings:
    """What all models found in one picture.

    Attributes:
      name: of its file.
      size: (height, width) in pixels.
      image: uint8 [h, w, 3], RGB, in a size to be shown.
      detections: of each model, highest score first, from LOWEST_SCORE on.
      milliseconds: of each model, from a resized picture to detections.
    """

    name: str
    size: tuple[int, int]
    image: np.ndarray
    detections: tuple[list[Detection], ...]
    milliseconds: tuple[float, ...]


class TimedPredictor:
    """A predictor that runs every picture some times more, to see how long that takes.

    Attributes:
      milliseconds: median of these runs for the last picture; the first run, which may build a
        graph, is not among them. NaN before the first picture.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.label_map: LabelMap | None = predictor.label_map
        self.image_size = predictor.image_size
        self.batch_size = predictor.batch_size
        self.milliseconds = math.nan

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        found = self._predictor(images)
        seconds: list[float] = []
        while len(seconds) < _TIMED_RUNS and sum(seconds) < _TIMED_SECONDS:
            begin = time.perf_counter()
            self._predictor(images)
            seconds.append(time.perf_counter() - begin)
        self.milliseconds = 1000.0 * statistics.median(seconds)
        return found


class Contest:
    """All models, and what they found in the last pictures.

    Attributes:
      contestants: in the order given; the others are compared with the first.
    """

    def __init__(self, contestants: Sequence[Contestant]) -> None:
        self.contestants = tuple(contestants)
        self._kept: OrderedDict[str, Findings] = OrderedDict()
        # Interpreters are not made for several threads, and times would be those of a crowd.
        self._lock = threading.Lock()

    @property
    def class_names(self) -> list[str]:
        """The names of all models' label maps, each once."""
        maps = [one.predictor.label_map for one in self.contestants]
        names = [name for labels in maps if labels for name in labels.display_names if name]
        return list(dict.fromkeys(names))

    def look(self, image: np.ndarray, name: str) -> Findings:
        """Returns what the models find; a picture that was looked at lately is not run again.

        Args:
          image: uint8 [h, w, 3], RGB.
          name: of its file.
        """
        key = hashlib.sha256(f"{name} {image.shape}".encode() + image.tobytes()).hexdigest()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._run(image, name)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT_PICTURES:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _run(self, image: np.ndarray, name: str) -> Findings:
        detections, milliseconds = [], []
        for contestant in self.contestants:
            detections.append(detect(contestant.predictor, image, LOWEST_SCORE))
            milliseconds.append(contestant.predictor.milliseconds)
        height, width = image.shape[:2]
        return Findings(
            name, (height, width), for_screen(image), tuple(detections), tuple(milliseconds)
        )


def load(models: Sequence[str], label_map: LabelMap | None, num_threads: int) -> Contest:
    """Returns the models, loaded.

    Raises:
      InputError: one cannot be loaded, is given twice, or there are too many.
    """
    if len(models) > MOST_MODELS:
        raise InputError(f"--model: {len(models)} models; at most {MOST_MODELS} can be compared")
    contestants = []
    for letter, name, path in zip(
        string.ascii_uppercase, short_names(models), models, strict=False
    ):
        predictor = TimedPredictor(load_predictor(path, label_map, num_threads=num_threads))
        contestants.append(Contestant(f"{letter}: {name}", path, predictor))
    return Contest(contestants)


def short_names(models: Sequence[str]) -> list[str]:
    """Returns the ends of the paths, as long as it takes to tell them apart.

    Raises:
      InputError: one is given twice.
    """
    twice = next((path for path in models if models.count(path) > 1), None)
    if twice is not None:
        raise InputError(f"--model: {twice} is given twice; give each model once")
    parts = [PurePosixPath(path).parts for path in models]
    for length in range(1, 1 + max(map(len, parts))):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return list(models)


def newest_models() -> list[str]:
    """Returns the .tflite files of the newest export, or a run that is newer than that.

    Raises:
      InputError: there is neither.
    """
    exported = [path for name in _EXPORTED for path in EXPORTS.glob(f"*/{name}")]
    newest = max(exported, key=_time, default=None)
    try:
        run = newest_run().path
    except InputError:
        run = None
    if run is not None and (
        newest is None or max(map(_time, run.glob("*/ckpt-*.index"))) > _time(newest)
    ):
        return [str(run)]
    if newest is None:
        raise InputError(
            f"no --model, and neither {EXPORTS}/ nor {RUNS}/ has one; give --model PATH, or "
            "`./run.sh train` makes a run"
        )
    files = [newest.with_name(name) for name in _EXPORTED if newest.with_name(name).is_file()]
    with_nms = [path for path in files if not path.stem.endswith("_raw")]
    return [str(path) for path in with_nms or files]


def _time(path: Path) -> float:
    return path.stat().st_mtime


def for_screen(image: np.ndarray) -> np.ndarray:
    """Returns uint8 [h, w, 3] with a longest side of 640 to 1280, of the same shape."""
    longest = max(image.shape[:2])
    wanted = min(max(longest, _SMALLEST_SIDE), _LARGEST_SIDE)
    if wanted == longest:
        return image
    height, width = (max(1, round(side * wanted / longest)) for side in image.shape[:2])
    resampling = Image.Resampling.LANCZOS if wanted < longest else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((width, height), resampling))
