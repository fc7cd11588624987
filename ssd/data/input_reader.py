"""Sections of a pipeline.config -> what the input pipeline needs of them."""

from __future__ import annotations

from typing import Any

from ssd import label_map as label_maps
from ssd.data import record_index
from ssd.data.record_files import PLACEHOLDER
from ssd.data.record_index import RecordIndex
from ssd.errors import InputError
from ssd.label_map import LabelMap


def open_records(input_reader: Any, place: str) -> RecordIndex:
    """Returns the index of an InputReader's records; `place` is the name of its section.

    With `sample_from_datasets_weights` every input_path is a data set of its own.

    Raises:
      InputError: as `record_index.index_records`, the reader is of another kind, or its weights do
        not fit its paths.
    """
    kind = input_reader.WhichOneof("input_reader")
    if kind != "tf_record_input_reader":
        raise InputError(f"{place}: {kind or 'no reader given'}; expected tf_record_input_reader")
    paths = input_reader.tf_record_input_reader.input_path
    path_place = f"{place}.tf_record_input_reader.input_path"
    every = max(input_reader.sample_1_of_n_examples, 1)
    weights = list(input_reader.sample_from_datasets_weights)
    if not weights:
        return record_index.index_records(paths, path_place).every(every)
    if len(weights) != len(paths) or not any(weights):
        shown = ", ".join(f"{weight:.7g}" for weight in weights)
        raise InputError(
            f"{place}.sample_from_datasets_weights: {len(weights)} weights ({shown}) for "
            f"{len(paths)} input_path; give one for each, at least one above 0, or remove them"
        )
    # As in the original, what has no weight is not even looked for.
    weighted = [(n, weight) for n, weight in enumerate(weights) if weight > 0]
    datasets = [
        record_index.index_records(paths[n], f"{path_place}[{n}]").every(every) for n, _ in weighted
    ]
    return record_index.joined(datasets, [weight for _, weight in weighted])


def open_label_map(input_reader: Any, num_classes: int, place: str) -> LabelMap | None:
    """Returns the LabelMap of an InputReader, None where it names none.

    Raises:
      InputError: the file is unusable, or has ids above `num_classes`.
    """
    path = input_reader.label_map_path
    if not path:
        return None
    if PLACEHOLDER in path:
        raise InputError(
            f"{place}.label_map_path still says {PLACEHOLDER} ({path}); give --label-map"
        )
    label_map = label_maps.load(path)
    if label_map.num_classes > num_classes:
        names = ", ".join(item.name for item in label_map.items)
        raise InputError(
            f"num_classes is {num_classes}, but {path} goes up to id {label_map.num_classes} "
            f"({names}); correct model.ssd.num_classes or the label map"
        )
    return label_map
