"""COCO's class names, for models of others that carry none; and ids that go by names."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ssd.label_map import LabelMap, LabelMapItem
from ssd.standard_fields import LABEL_ID_OFFSET, DetectionFields

# By id, from 1 on; ten ids were never used.
_COMMA_SEPARATED = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,"
    "backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,fork,"
    "knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"
    "couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,"
    "microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
)
# Publisher of the TF Object Detection API's zoo on tfhub.dev and Kaggle: all trained on COCO.
_PUBLISHER = "/tensorflow/"


def assumed(num_classes: int | None) -> LabelMap | None:
    """Returns COCO's label map where the number of classes is COCO's, else None.

    Args:
      num_classes: 90: ids 1..90 with gaps, as the zoo's models have them; 80: the same names
        without gaps.

    >>> [assumed(n).name_of(80) for n in (90, 80)], assumed(3)
    (['toaster', 'toothbrush'], None)
    """
    with_gaps = _COMMA_SEPARATED.split(",")
    names = {90: with_gaps, 80: list(filter(None, with_gaps))}.get(num_classes or 0, [])
    pairs = enumerate(names, LABEL_ID_OFFSET)
    items = tuple(LabelMapItem(class_id, name) for class_id, name in pairs if name)
    return LabelMap(items) if items else None


def name_classes(predictor: Any, path: str) -> None:
    """Gives COCO's label map to a predictor whose `num_classes` is COCO's, and says so on stderr.

    So it does where a hub module of the zoo does not tell their number. The attribute
    `label_map_is_assumed` tells it from one that the model carries.

    Args:
      path: as a person named the model.
    """
    num_classes = getattr(predictor, "num_classes", None)
    if num_classes is None and path.startswith("hub:http") and _PUBLISHER in path:
        num_classes = 90
    label_map = assumed(num_classes)
    if label_map is not None:
        predictor.label_map = label_map
        predictor.label_map_is_assumed = True
        print(
            f"{path}: carries no label map; its {num_classes} classes are taken for COCO's, "
            "--label-map FILE names others",
            file=sys.stderr,
        )


def with_classes_of(predictor: Any, label_map: LabelMap) -> Any:
    """Returns a predictor to be scored on records of `label_map`.

    Where the names of the predictor's classes are only assumed: with the ids of the label map if
    all its names are COCO's; without names if none is. Else the predictor itself.
    """
    if not getattr(predictor, "label_map_is_assumed", False):
        return predictor
    known = set(predictor.label_map.id_of) & {item.name for item in label_map.items}
    if len(known) == len(label_map.items):
        return InClassesOf(predictor, label_map)
    if not known:
        predictor.label_map = None
    return predictor


class InClassesOf:
    """A predictor with the class ids of another label map, by name.

    What is of no class of that label map is left out; the order of the rest stays.

    Attributes:
      label_map: the one whose ids come back.
      name, image_size, batch_size: of the predictor.
    """

    def __init__(self, predictor: Any, label_map: LabelMap) -> None:
        self.label_map = label_map
        self.name = predictor.name
        self.image_size: tuple[int, int] | None = predictor.image_size
        self.batch_size: int = predictor.batch_size
        self._predictor = predictor
        self._id_of = np.zeros(predictor.label_map.num_classes + LABEL_ID_OFFSET, np.int64)
        for item in predictor.label_map.items:
            self._id_of[item.id] = label_map.id_of.get(item.name, 0)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(self._predictor(images))
        classes = found[DetectionFields.detection_classes]
        is_known = (classes > 0) & (classes < len(self._id_of))
        ids = np.where(is_known, self._id_of[np.where(is_known, classes, 0)], 0)
        rows = np.arange(classes.shape[1]) < found[DetectionFields.num_detections][:, np.newaxis]
        is_kept = rows & (ids > 0)
        order = np.argsort(~is_kept, axis=1, kind="stable")
        found[DetectionFields.detection_classes] = np.take_along_axis(ids, order, 1)
        for name in (DetectionFields.detection_scores, DetectionFields.detection_boxes):
            index = order if found[name].ndim == 2 else order[..., np.newaxis]
            found[name] = np.take_along_axis(found[name], index, 1)
        found[DetectionFields.num_detections] = is_kept.sum(axis=1)
        return found
