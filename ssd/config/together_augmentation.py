"""Settings of one augmentation step that are fine one by one but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssd.config.rules import Problem, show


def problems(option: Any, path: str) -> Iterator[Problem]:
    """Yields what does not fit together in a PreprocessingStep that stands at `path`."""
    crops = [(f"{path}.random_crop_image", option.random_crop_image)]
    for index, operation in enumerate(option.ssd_random_crop.operations):
        crops.append((f"{path}.ssd_random_crop.operations[{index}]", operation))
    for own_path, crop in crops:
        for name in ("aspect_ratio", "area"):
            low, high = getattr(crop, f"min_{name}"), getattr(crop, f"max_{name}")
            if low > high:
                what = f"{show(low)} is above max_{name} {show(high)}."
                yield f"{own_path}.min_{name}", what
