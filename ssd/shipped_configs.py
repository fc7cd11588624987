"""The pipeline.configs that come with the kit, by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ssd.errors import InputError

SHIPPED_CONFIGS = Path(__file__).resolve().parents[1] / "pipeline_configs"
DEMO_CONFIG = "demo"
DEFAULT_CONFIG = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


def find_config(name: str) -> Path:
    """Returns the file that `--config` names: a path, or a shipped config without `.config`.

    Raises:
      InputError: there is neither; it names the nearest shipped one.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = {path.stem: path for path in SHIPPED_CONFIGS.glob("*.config")}
    for candidate in (name, name + "_coco17_tpu-8", name.removesuffix(".config")):
        if candidate in shipped:
            return shipped[candidate]
    close = difflib.get_close_matches(name, shipped, n=1)
    hint = f"did you mean {close[0]}?" if close else f"shipped: {', '.join(sorted(shipped))}"
    raise InputError(f"--config {name}: no such file and no shipped config; {hint}")


def is_shipped(config_path: Path) -> bool:
    """Returns whether this is a config of the kit, not somebody's own."""
    return config_path.resolve().parent == SHIPPED_CONFIGS
