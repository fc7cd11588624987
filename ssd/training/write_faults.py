"""A run folder that cannot be written to: one line, and how to go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from ssd.checkpoint_folder import numbers
from ssd.errors import InputError
from ssd.run_folder import RunFolder

# What a disk says, not what a bug says.
_FAULTS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG),
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ESTALE),
)


@contextmanager
def write_faults_said(run: RunFolder) -> Iterator[None]:
    """An OSError of the disk inside the block, Python's or TensorFlow's, becomes an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FAULTS:
            raise
        place = str(error.filename or run.path)
        raise _said(run, place, error.strerror or str(error)) from error
    except tf.errors.OpError as error:
        # Of a full disk it is the error that is also said of a full memory.
        reason = next((t for t in map(os.strerror, _FAULTS) if t in str(error)), None)
        if reason is None:
            raise
        raise _said(run, str(run.path), reason) from error


def _said(run: RunFolder, place: str, reason: str) -> InputError:
    steps = numbers(run.checkpoints)
    kept = f"the last checkpoint is of step {steps[-1]}" if steps else "no checkpoint was due yet"
    return InputError(
        f"{place}: cannot be written ({reason}); {kept}: free or mend the disk, and the same "
        "command goes on"
    )
