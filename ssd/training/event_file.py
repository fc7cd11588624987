"""TensorBoard's event files, written so that a resumed run continues its own curves.

A file is a row of framed Event messages, each written at once, by this process alone: what has been
written is there when the process is killed, and a full disk is an OSError here and now.
"""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import metadata as pr_curve_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

# TensorBoard reads files in the order of their names, and looks for SessionLog from version 2 on.
_NAME = "events.out.tfevents.{seconds:010d}.{host}.{pid}.0.v2"
_VERSION = "brain.Event:2"
_JPEG_QUALITY = 88


class EventFile:
    """One process' events of a run.

    Args:
      folder: of the run; earlier event files in it stay.
      step: where the run stands: what earlier files have of later steps disappears from the curves.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / _NAME.format(
            seconds=max(int(time.time()), _newest_second(folder) + 1),
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._file = path.open("wb")
        self._writer = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version=_VERSION))
        start = SessionLog(status=SessionLog.START)
        # Everything from the event's own step on is dropped.
        self._write(Event(wall_time=time.time(), step=step + 1, session_log=start))
        self._file.flush()

    def add(self, step: int, *values: Summary.Value) -> None:
        """Writes values of one step; see `scalar`, `image` and `pr_curve`."""
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        self._write(event)
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())


def scalar(tag: str, value: float) -> Summary.Value:
    """Returns a point of a curve."""
    metadata = scalar_metadata.create_summary_metadata(display_name=None, description=None)
    return _value(tag, np.float32(value), metadata)


def image(tag: str, picture: np.ndarray, description: str) -> Summary.Value:
    """Returns a picture, uint8 [h, w, 3], with a line of Markdown about it."""
    stream = io.BytesIO()
    # A fifth of a PNG's bytes, and TensorBoard shows both.
    Image.fromarray(picture).save(stream, format="JPEG", quality=_JPEG_QUALITY)
    height, width = picture.shape[:2]
    metadata = image_metadata.create_summary_metadata(display_name=None, description=description)
    content = np.array([str(width).encode(), str(height).encode(), stream.getvalue()], np.object_)
    return _value(tag, content, metadata)


def pr_curve(tag: str, hits: np.ndarray, false: np.ndarray, num_groundtruth: int) -> Summary.Value:
    """Returns a precision-recall curve in the form of TensorBoard's plugin pr_curves.

    What is no object has no number, so there are no true negatives: they are 0.

    Args:
      tag: of the curve.
      hits, false: int [T], detections from each threshold on; thresholds spread evenly over [0, 1].
      num_groundtruth: boxes to be found.
    """
    precision, recall = hits / np.maximum(hits + false, 1), hits / max(num_groundtruth, 1)
    rows = [hits, false, np.zeros(len(hits)), num_groundtruth - hits, precision, recall]
    metadata = pr_curve_metadata.create_summary_metadata(
        display_name=tag, description="", num_thresholds=len(hits)
    )
    return _value(tag, np.stack(rows).astype(np.float32), metadata)


def _value(tag: str, content: np.ndarray | np.float32, metadata: SummaryMetadata) -> Summary.Value:
    return Summary.Value(tag=tag, tensor=make_tensor_proto(content), metadata=metadata)


def _newest_second(folder: Path) -> int:
    """That in the names of earlier event files, which a clock set back must not undercut."""
    parts = (path.name.split(".") for path in folder.glob("events.out.tfevents.*"))
    return max((int(p[3]) for p in parts if len(p) > 3 and p[3].isdigit()), default=0)
