from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.run_folder import RunFolder
from ssd.training.write_faults import write_faults_said

RUN = RunFolder(Path("run"))


def test_a_full_disk_names_the_last_checkpoint(in_temporary_folder):
    RUN.checkpoints.mkdir(parents=True)
    for step in (9, 10):
        (RUN.checkpoints / f"ckpt-{step}.index").touch()
    with (
        pytest.raises(
            InputError,
            match=r"^run/metrics\.jsonl: cannot be written \(No space left on device\); the last "
            r"checkpoint is of step 10: free or mend the disk, and the same command goes on$",
        ),
        write_faults_said(RUN),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/metrics.jsonl")


def test_without_a_name_or_a_checkpoint(in_temporary_folder):
    with (
        pytest.raises(
            InputError, match=r"^run: cannot be written \(.*\); no checkpoint was due yet"
        ),
        write_faults_said(RUN),
    ):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_tensorflows_errors_of_a_disk():
    said = tf.errors.ResourceExhaustedError(None, None, "run/events; No space left on device")
    with (
        pytest.raises(InputError, match=r"^run: cannot be written \(No space left on device\);"),
        write_faults_said(RUN),
    ):
        raise said


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        OSError(errno.ECHILD, "No child processes"),
        ZeroDivisionError(),
    ],
    ids=["memory", "another OSError", "a bug"],
)
def test_what_is_no_fault_of_the_disk_stays_what_it_is(error):
    with pytest.raises(type(error)) as caught, write_faults_said(RUN):
        raise error
    assert caught.value is error
