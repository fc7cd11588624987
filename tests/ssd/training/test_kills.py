"""One run, killed twenty times, against one that nobody disturbed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# The smallest model there is: 27 convolutions, 64x96; what is asked is not what it learns.
FLAGS = (
    *("--config", "ssd_mobilenet_v2_320x320_coco17_tpu-8", "--anchors", "config"),
    *("--checkpoint", "none", "--batch-size", "2", "--steps", "120"),
    *("--checkpoint-every", "3", "--eval-every", "30"),
    *("--set", "model.ssd.feature_extractor.type=ssd_mobilenet_v1_keras"),
    *("--set", "model.ssd.feature_extractor.depth_multiplier=0.25"),
    *("--set", "model.ssd.image_resizer.fixed_shape_resizer.height=64"),
    *("--set", "model.ssd.image_resizer.fixed_shape_resizer.width=96"),
    # Drawn in every step: a mask of the class heads' inputs.
    *("--set", "model.ssd.box_predictor.convolutional_box_predictor.use_dropout=true"),
    *("--set", "model.ssd.box_predictor.convolutional_box_predictor.dropout_keep_probability=0.8"),
    *("--moving-average-decay", "0.9"),
)


def test_twenty_kills_change_no_bit(tiny_data: Path, project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "benchmarks/kills.py", "--output", str(tmp_path), "--kills", "20"),
            *("--", *FLAGS, "--data", str(tiny_data)),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    kills = [line for line in lines if line.startswith(("SIGKILL", "SIGTERM"))]
    assert len(kills) == 20
    assert sum("code -9" in line or "code 130" in line for line in kills) == 20
    assert lines[-3].startswith("0 of ")
