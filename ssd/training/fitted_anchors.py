"""Anchors fitted to the boxes of a run before anything is built: `--anchors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssd.data.record_index import RecordIndex
from ssd.label_map import LabelMap
from ssd.shipped_configs import is_shipped
from ssd.training.options import TrainOptions

_MAX_IMAGES = 2000  # more would not change the choice, only delay it


def fit_anchors(
    config: Any,
    config_path: Path,
    options: TrainOptions,
    records: RecordIndex,
    labels: LabelMap,
) -> list[str]:
    """Fits anchor_scale of the config to the training boxes, or says that another would fit.

    The kit's own configs are fitted unless `--set` speaks of their anchors; a config of one's own
    only where `--anchors fit` asks for it.

    Returns:
      Lines for the screen.
    """
    is_set = any(o.startswith("model.ssd.anchor_generator") for o in options.overrides)
    if options.anchors == "config" or (is_set and options.anchors == "auto"):
        return []
    if not config.model.ssd.anchor_generator.HasField("multiscale_anchor_generator"):
        return []
    # Late: whatever is wrong with flags and files is said without waiting for TensorFlow.
    from ssd.anchor_fit.recall import AnchorModel
    from ssd.anchor_fit.scale import fit_scale
    from ssd.data import box_table

    model = AnchorModel(config.model.ssd)
    numbers = np.unique(np.linspace(0, len(records) - 1, _MAX_IMAGES).astype(int)).tolist()
    table = box_table.read(records, labels, with_sizes=model.needs_image_sizes, progress=numbers)
    has_area = np.all(table.boxes[:, :2] < table.boxes[:, 2:], axis=1)
    placed = model.place(table.boxes[has_area], table.image_sizes[has_area])
    found = fit_scale(model, placed, table.class_ids[has_area])
    if found is None:
        return []
    generator = config.model.ssd.anchor_generator.multiscale_anchor_generator
    own = generator.anchor_scale
    class_id = max(found.recalls, key=lambda c: found.recalls[c] - found.own_recalls[c])
    gain = (
        f"{found.recalls[class_id]:.0%} of the boxes of {labels.name_of(class_id)} overlap an "
        f"anchor by half, not {found.own_recalls[class_id]:.0%}"
    )
    change = f"anchor_scale {own:g} -> {found.anchor_scale:g}"
    if options.anchors == "fit" or is_shipped(config_path):
        generator.anchor_scale = found.anchor_scale
        return [f"{change}, fitted to the boxes: {gain} (--anchors config keeps {own:g})"]
    return [f"these anchors are too large for the boxes; with --anchors fit ({change}) {gain}"]
