"""The verb `anchors`: do the anchors of a config fit the boxes of a data set, and which would?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ssd import label_map as label_maps
from ssd.anchor_fit import suggestion, text
from ssd.anchor_fit.clusters import Clusters, cluster
from ssd.anchor_fit.recall import AnchorModel, PlacedBoxes, load_model
from ssd.anchor_fit.suggestion import RECALL_IOU, Suggestion
from ssd.data import box_table, record_index
from ssd.data.box_table import BoxTable
from ssd.errors import InputError
from ssd.label_map import LabelMap
from ssd.models import anchor_builder
from ssd.shipped_configs import DEFAULT_CONFIG

# Areas of COCO's small and medium objects end here; pixels of the model's input.
_SMALL_AREA, _MEDIUM_AREA = 32**2, 96**2


def run(
    *,
    data: str | None = None,
    records: Sequence[str] = (),
    label_map: str | None = None,
    split: str = "train",
    config: str | None = None,
    overrides: Sequence[str] = (),
    k: int | None = None,
    seed: int = 0,
    output: str | None = None,
    as_json: bool = False,
) -> dict[str, Any]:
    """Prints the report, or one JSON object of it, and returns that object.

    Args:
      data: a folder that `convert` made, or a record file.
      records, label_map: TFRecord files or globs instead, and the names of their classes.
      split: which records of the folder.
      config: a pipeline.config or the name of a shipped one; None for that of `train`.
      overrides: `section.field=value`.
      k: how many shapes to find; None for as many as a cell has anchors.
      seed: of the beginnings of k-means and of the boxes that stand for many.
      output: a .png to draw the report to.
      as_json: print the object and nothing else.

    Raises:
      InputError: a flag, the config or a record is wrong, or there is no box.
    """
    if output is not None and Path(output).suffix.lower() != ".png":
        raise InputError(f"--output {output}: expected a name that ends in .png")
    paths, labels = _records(data, records, label_map, split)
    name = config or DEFAULT_CONFIG
    model = load_model(name, overrides)
    table = _read(paths, labels, model, shows_progress=not as_json)
    has_area = np.all(table.boxes[:, :2] < table.boxes[:, 2:], axis=1)
    if not has_area.any():
        raise InputError(
            f"{', '.join(paths)}: {table.num_images} images and no box with an area; there is "
            "nothing to fit anchors to"
        )
    placed = model.place(table.boxes[has_area], table.image_sizes[has_area])
    present = model.best_iou(placed)
    class_ids = table.class_ids[has_area]
    found = suggestion.suggest(model, placed, present, class_ids, seed=seed)
    count = k or max(_per_location(model))
    shapes = cluster(placed.sides_pixels, count, seed=seed)
    classes = _Classes(class_ids, labels)
    report = {
        "config": name,
        **_model_facts(model),
        "records": list(paths),
        **_data_facts(table, has_area),
        **_fit(present, placed, classes, model.matched_threshold),
        "clusters": _cluster_facts(shapes),
        "suggestion": _suggestion_facts(found, placed, classes, model.matched_threshold),
    }
    print(json.dumps(report) if as_json else text.to_text(report))
    if output is not None:
        from ssd.anchor_fit import plot  # late: matplotlib takes its time

        plot.save(Path(output), model, placed, present, shapes, found, name)
        if not as_json:
            print(f"wrote {output}")
    return report


def _read(
    paths: Sequence[str], labels: LabelMap, model: AnchorModel, shows_progress: bool
) -> BoxTable:
    index = record_index.index_records(paths)
    hidden = None if shows_progress else True
    with tqdm(range(len(index)), unit="record", leave=False, disable=hidden) as numbers:
        return box_table.read(index, labels, with_sizes=model.needs_image_sizes, progress=numbers)


@dataclass(frozen=True)
class _Classes:
    """The class ids of the boxes, int64 [M], and their names."""

    class_ids: np.ndarray
    labels: LabelMap


def _records(
    data: str | None, records: Sequence[str], label_map: str | None, split: str
) -> tuple[list[str], LabelMap]:
    if bool(data) == bool(records):
        what = "both name records" if data else "neither is there"
        raise InputError(f"DATA and --records: {what}; give one of them")
    if data:
        path = Path(data)
        if not path.exists():
            raise InputError(f"{data}: no such file or folder; `./run.sh convert` makes one")
        folder = path if path.is_dir() else path.parent
        records = [str(path / f"{split}-*.tfrecord")] if path.is_dir() else [data]
        if path.is_dir() and not any(path.glob(f"{split}-*.tfrecord")):
            raise InputError(
                f"{data}: no {split}-*.tfrecord in it; give --split NAME, or --records GLOB and "
                "--label-map FILE"
            )
        beside = folder / "label_map.pbtxt"
        label_map = label_map or (str(beside) if beside.is_file() else None)
    if not label_map:
        raise InputError(f"{', '.join(records)}: which classes are these? give --label-map FILE")
    return list(records), label_maps.load(label_map)


def _per_location(model: AnchorModel) -> list[int]:
    return model.num_anchors_per_location(anchor_builder.build(model.ssd.anchor_generator))


def _model_facts(model: AnchorModel) -> dict[str, Any]:
    matcher = model.ssd.matcher
    return {
        "input_size": list(model.input_size) if model.input_size else None,
        "anchor_generator": model.ssd.anchor_generator.WhichOneof("anchor_generator_oneof"),
        "anchors": model.num_anchors(),
        "anchors_per_location": _per_location(model),
        "matched_threshold": _as_written(model.matched_threshold),
        "force_match_for_each_row": bool(
            matcher.HasField("argmax_matcher") and matcher.argmax_matcher.force_match_for_each_row
        ),
    }


def _data_facts(table: BoxTable, has_area: np.ndarray) -> dict[str, Any]:
    return {
        "images": table.num_images,
        "boxes": int(has_area.sum()),
        "boxes_without_area": int((~has_area).sum()),
        "boxes_left_out": table.num_dropped,
    }


def _fit(
    best: np.ndarray, placed: PlacedBoxes, classes: _Classes, threshold: float | None
) -> dict[str, Any]:
    """Returns the figures of all boxes, by size and by class; None where there is no box."""

    def figures(rows: np.ndarray) -> dict[str, Any]:
        own = best[rows]
        has_boxes = len(own) > 0
        recalls = {
            name: float((own >= np.float32(limit)).mean()) if has_boxes else None
            for name, limit in (("recall_50", RECALL_IOU), ("recall_matched", threshold))
            if limit is not None
        }
        mean = float(own.mean()) if has_boxes else None
        return {"boxes": len(own), **recalls, "mean_best_iou": mean}

    areas = placed.sides_pixels.prod(axis=1)
    sizes = {
        "small": areas < _SMALL_AREA,
        "medium": (areas >= _SMALL_AREA) & (areas < _MEDIUM_AREA),
        "large": areas >= _MEDIUM_AREA,
    }
    limit = np.float32(0.0 if threshold is None else threshold)
    return {
        "all": figures(np.ones(len(best), bool)),
        "per_size": {name: figures(rows) for name, rows in sizes.items()},
        "per_class": {
            item.name: figures(classes.class_ids == item.id) for item in classes.labels.items
        },
        "below_matched_threshold": int((best < limit).sum()),
    }


def _cluster_facts(clusters: Clusters) -> dict[str, Any]:
    shapes = [
        {
            "height": float(height),
            "width": float(width),
            "aspect_ratio": float(width / height),
            "share": float(share),
            "mean_iou": float(mean),
        }
        for (height, width), share, mean in zip(
            clusters.sides, clusters.shares, clusters.mean_ious, strict=True
        )
    ]
    return {"mean_iou": clusters.mean_iou, "shapes": shapes}


def _suggestion_facts(
    found: Suggestion | None, placed: PlacedBoxes, classes: _Classes, threshold: float | None
) -> dict[str, Any] | None:
    if found is None:
        return None
    text = suggestion.to_text(found.anchor_generator)
    value = " ".join(text.removeprefix("anchor_generator ").split())
    return {
        "text": text,
        "set": f"model.ssd.anchor_generator={value}",
        **_fit(found.best_iou, placed, classes, threshold),
    }


def _as_written(value: float | None) -> float | None:
    """The decimal that was meant by a float32."""
    return None if value is None else float(np.format_float_positional(np.float32(value)))
