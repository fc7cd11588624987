"""COCO and VOC metrics of any form of a model on TFRecords."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ssd import hub
from ssd import label_map as label_maps
from ssd.coco_names import with_classes_of
from ssd.data.record_index import index_records
from ssd.data.record_verification import verify
from ssd.errors import InputError
from ssd.evaluated_image import EvaluatedImage
from ssd.label_map import LabelMap
from ssd.metrics_sets import ONLY_COCO, DetectionMetrics, MetricsSettings, format_metrics
from ssd.predictor import Predictor, load_predictor, local_model
from ssd.run_folder import config_beside
from ssd.standard_fields import DetectionFields, InputFields

# A tqdm bar for people, nothing for scripts and pipes.
_MIN_SECONDS_BETWEEN_UPDATES = 1.0


def evaluate(
    predictor: Predictor,
    records: Sequence[str],
    label_map: LabelMap,
    *,
    every: int = 1,
    settings: MetricsSettings = ONLY_COCO,
    observer: Callable[[EvaluatedImage], None] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Returns the COCO metrics of `predictor` on all images of `records`.

    Args:
      predictor: its class ids must be those of `label_map`.
      records: TFRecord files or globs.
      label_map: names the classes of the records (label text counts, see `data.decoder`).
      every: only each so-manieth record (`sample_1_of_n_examples`).
      settings: what to measure beside COCO's numbers.
      observer: is told of every image, in the order of the records.
      progress: show a bar on stderr.

    Returns:
      {"AP": ..., "AP50": ..., ..., "per_class": {...}}, then the metrics of other sets under the
      original's names; fractions, None where there is nothing to measure.

    Raises:
      InputError: records missing, empty or damaged; label maps contradict each other; `settings`
        name what is not there.
    """
    # Late: `--help` answers without TensorFlow.
    from ssd.data import input_pipeline

    _require_same_classes(predictor, label_map)
    metrics = DetectionMetrics(label_map, settings)
    index = index_records(records).every(every)
    dataset = input_pipeline.eval_dataset(
        record_index=index,
        label_map=label_map,
        num_classes=label_map.num_classes,
        image_size=predictor.image_size,
        batch_size=predictor.batch_size,
    )
    with tqdm(
        total=len(index),
        unit="image",
        desc="evaluate",
        leave=False,
        disable=None if progress else True,
        mininterval=_MIN_SECONDS_BETWEEN_UPDATES,
    ) as bar:
        for batch in input_pipeline.explained(dataset):
            arrays = {name: np.asarray(value) for name, value in batch.items()}
            detections = predictor(arrays[InputFields.image])
            for row in range(len(arrays[InputFields.source_id])):
                image = _add(metrics, arrays, detections, row)
                if observer is not None:
                    observer(image)
            bar.update(len(arrays[InputFields.source_id]))
    return metrics.summarize()


def _add(
    metrics: DetectionMetrics,
    batch: dict[str, np.ndarray],
    detections: dict[str, np.ndarray],
    row: int,
) -> EvaluatedImage:
    """Adds a row of the batch to the metrics; returns it."""
    boxes = slice(0, int(batch[InputFields.num_groundtruth_boxes][row]))
    found = slice(0, int(detections[DetectionFields.num_detections][row]))
    height, width = batch[InputFields.original_image_size][row]
    image = EvaluatedImage(
        number=metrics.coco.num_images,
        source_id=batch[InputFields.source_id][row].decode(),
        image_size=(int(height), int(width)),
        groundtruth_boxes=batch[InputFields.groundtruth_boxes][row, boxes],
        groundtruth_classes=batch[InputFields.groundtruth_classes][row, boxes],
        groundtruth_is_crowd=batch[InputFields.groundtruth_is_crowd][row, boxes],
        detection_boxes=detections[DetectionFields.detection_boxes][row, found],
        detection_scores=detections[DetectionFields.detection_scores][row, found],
        detection_classes=detections[DetectionFields.detection_classes][row, found],
    )
    metrics.add(
        source_id=image.source_id,
        image_size=image.image_size,
        groundtruth_boxes=image.groundtruth_boxes,
        groundtruth_classes=image.groundtruth_classes,
        groundtruth_is_crowd=image.groundtruth_is_crowd,
        groundtruth_area=batch[InputFields.groundtruth_area][row, boxes],
        groundtruth_difficult=batch[InputFields.groundtruth_difficult][row, boxes],
        groundtruth_group_of=batch[InputFields.groundtruth_group_of][row, boxes],
        detection_boxes=image.detection_boxes,
        detection_scores=image.detection_scores,
        detection_classes=image.detection_classes,
    )
    return image


def _require_same_classes(predictor: Predictor, label_map: LabelMap) -> None:
    own = predictor.label_map
    # The labels inside a .tflite are display names.
    if own is not None and own.names not in (label_map.names, label_map.display_names):
        n = next(
            (n for n, (a, b) in enumerate(zip(own.names, label_map.names, strict=False)) if a != b),
            None,
        )
        where = (
            f"{len(own.names)} classes against {len(label_map.names)}"
            if n is None
            else f"id {n + 1} is {own.names[n]!r} against {label_map.names[n]!r}"
        )
        raise InputError(
            f"label map: the model's and the data's differ: {where}; evaluate on records "
            "of the same classes, or give --label-map with the model's order"
        )


def run(
    model: str,
    *,
    data: str | None,
    split: str,
    records: Sequence[str],
    label_map: str | None,
    output: str | None,
    as_json: bool,
    threads: int,
    reference_kernels: bool = False,
) -> None:
    """The `evaluate` verb; arguments are its flags. Prints the table or one JSON object."""
    records, labels, settings = _data(model, data, split, records, label_map)
    loaded = load_predictor(model, num_threads=threads, reference_kernels=reference_kernels)
    predictor = with_classes_of(loaded, labels)
    settings = settings.with_pascal_voc()
    images: list[EvaluatedImage] = []
    summary = evaluate(
        predictor,
        records,
        labels,
        settings=settings,
        observer=images.append if output else None,
        progress=not as_json,
    )
    if output:
        folder = Path(output)
        _save(summary, folder)
        from ssd.run_report import of_evaluation  # late: only this needs matplotlib

        name = getattr(predictor, "name", "") or model
        of_evaluation.write(folder, model, name, records, labels, summary, images)
    if as_json:
        print(json.dumps(summary))
        return
    print(f"{getattr(predictor, 'name', model)} on {', '.join(records)}")
    print(format_metrics(summary))


def _save(summary: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / "metrics.json.tmp"
    aside.write_text(json.dumps(summary, indent=1) + "\n")
    os.replace(aside, folder / "metrics.json")


def _data(
    model: str, data: str | None, split: str, records: Sequence[str], label_map: str | None
) -> tuple[list[str], LabelMap, MetricsSettings]:
    """The records, verified, and the label map that the flags, or else the run itself, name.

    A run evaluated on its own records is measured as its eval_config says.
    """
    settings = ONLY_COCO
    if data and records:
        raise InputError("--data and --records both name records; give one of them")
    if data:
        folder = Path(data)
        records = [str(folder / f"{split}-*.tfrecord")]
        label_map = label_map or str(folder / "label_map.pbtxt")
    elif not records:
        from ssd.config import pipeline  # late: only a run without flags needs it

        # An exported file may lie below somebody's pipeline.config, which is not its own.
        if hub.is_handle(model) or model.endswith(".tflite"):
            raise InputError(f"{model}: names no records; give --data DIR or --records GLOB")
        config_path = config_beside(local_model(model))
        config = pipeline.load(config_path).message
        readers = config.eval_input_reader
        settings = MetricsSettings.from_config(config.eval_config)
        records = [path for reader in readers for path in reader.tf_record_input_reader.input_path]
        beside = config_path.parent / "label_map.pbtxt"
        named = readers[0].label_map_path if readers else ""
        label_map = label_map or (str(beside) if beside.is_file() else named)
    if not records:
        raise InputError(f"{model}: names no evaluation records; give --data DIR or --records GLOB")
    if not label_map:
        raise InputError("--records: which classes are these? give --label-map FILE")
    labels = label_maps.load(label_map)
    for note in verify(records, labels, label_map):
        print(note, file=sys.stderr)
    # What is wrong with the files is said before a model is loaded.
    index_records(records)
    return list(records), labels, settings
