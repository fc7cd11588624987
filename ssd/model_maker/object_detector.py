"""What scripts import as `object_detector`."""

from __future__ import annotations

from functools import partial

from ssd.model_maker.data_loader import DataLoader
from ssd.model_maker.detector import ObjectDetector
from ssd.model_maker.specs import EfficientDetSpec

EfficientDetLite0Spec = partial(EfficientDetSpec, model_name="efficientdet-lite0")
EfficientDetLite1Spec = partial(EfficientDetSpec, model_name="efficientdet-lite1")
EfficientDetLite2Spec = partial(EfficientDetSpec, model_name="efficientdet-lite2")
EfficientDetLite3Spec = partial(EfficientDetSpec, model_name="efficientdet-lite3")
EfficientDetLite4Spec = partial(EfficientDetSpec, model_name="efficientdet-lite4")

create = ObjectDetector.create

__all__ = [
    "DataLoader",
    "EfficientDetLite0Spec",
    "EfficientDetLite1Spec",
    "EfficientDetLite2Spec",
    "EfficientDetLite3Spec",
    "EfficientDetLite4Spec",
    "EfficientDetSpec",
    "ObjectDetector",
    "create",
]
