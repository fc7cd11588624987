"""Run by test_two_workers.py: `train`, with what every step saw and returned written down.

python worker_process.py LOG.jsonl FLAG...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssd import __main__
from ssd.errors import run_command
from ssd.training import learner


def recording(log: Path, make_train_step: Callable[..., Any]) -> Callable[..., Any]:
    def make(*arguments: Any, **settings: Any) -> Any:
        train_step = make_train_step(*arguments, **settings)

        def step(batch: Any) -> Any:
            losses = train_step(batch)
            line = {
                "losses": {name: float(value) for name, value in losses.items()},
                "source_ids": [s.decode() for s in batch["source_id"].numpy()],
            }
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            return losses

        step.get_concrete_function = train_step.get_concrete_function  # asked for its memory
        return step

    return make


if __name__ == "__main__":
    learner.make_train_step = recording(Path(sys.argv[1]), learner.make_train_step)
    arguments = ["train", *sys.argv[2:]]
    sys.exit(run_command(lambda: __main__.main(arguments), "train"))
