"""What several workers have to agree on before the first step."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from pathlib import Path

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.run_folder import RunFolder
from ssd.training.devices import Devices
from ssd.training.learner import Learner
from ssd.training.options import TrainOptions
from ssd.training.plan import Plan


def same_run(plan: Plan, options: TrainOptions, devices: Devices) -> Plan:
    """Returns the plan with the folder that the chief chose; waits for all workers.

    Raises:
      InputError: on every worker, where one has another config, other flags or other records.
    """
    facts = {
        "pipeline.config": pipeline.to_text(plan.config),
        "flags": repr(sorted(options.identity().items())),
        "records": repr(plan.data),
    }
    message = {
        "digests": {name: hashlib.sha256(t.encode()).hexdigest() for name, t in facts.items()},
        "run": str(plan.run.path),
        "resumes": plan.resumes,
        "begins_from": plan.checkpoint,
    }
    messages = devices.exchange(message)
    chief = messages[0]
    for worker, other in enumerate(messages):
        for name, digest in other["digests"].items():
            if digest != chief["digests"][name]:
                raise InputError(
                    f"{devices.name(worker)} has other {name} than the chief; start all workers "
                    "with the same command and the same files"
                )
    begins_from = chief["begins_from"] and (plan.checkpoint or chief["begins_from"])
    return dataclasses.replace(
        plan, run=RunFolder(Path(chief["run"])), resumes=chief["resumes"], checkpoint=begins_from
    )


def require_same_start(learner: Learner, step: int, run: RunFolder, devices: Devices) -> None:
    """Refuses workers that begin at another step or with other weights than the chief.

    Raises:
      InputError: on every worker.
    """
    if devices.num_workers == 1:
        return
    checksum = 0
    for variable in learner.detector.checkpoint_variables().values():
        checksum = zlib.crc32(variable.numpy().tobytes(), checksum)
    messages = devices.exchange({"step": step, "weights": checksum})
    chief = messages[0]
    for worker, other in enumerate(messages):
        if other["step"] != chief["step"]:
            raise InputError(
                f"{devices.name(worker)} stands at step {other['step']}, the chief at step "
                f"{chief['step']}: {run.path} has to be on a file system that all workers see"
            )
        if other["weights"] != chief["weights"]:
            raise InputError(
                f"{devices.name(worker)} begins with other weights than the chief: does "
                "--checkpoint name the same file there?"
            )
