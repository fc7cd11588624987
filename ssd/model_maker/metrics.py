"""COCO's metrics under Model Maker's names."""

from __future__ import annotations

from ssd.evaluate import evaluate
from ssd.model_maker.data_loader import DataLoader
from ssd.predictor import Predictor

# The kit's names of COCO's numbers -> Model Maker's.
_NAMES = {
    **{name: name for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")},
    **{"AR1": "ARmax1", "AR10": "ARmax10", "AR100": "ARmax100"},
    **{name: name for name in ("ARs", "ARm", "ARl")},
}
# What COCO's tools write where there is nothing to measure.
_NOTHING = -1.0


def metrics_of(predictor: Predictor, data: DataLoader) -> dict[str, float]:
    """Returns AP, AP50, ..., ARmax100, ..., and AP_/CLASS of each class.

    Fractions; -1.0 where there is nothing to measure.

    Raises:
      InputError: the model's classes are not those of the data.
    """
    found = evaluate(predictor, data.patterns, data.labels)
    named = {theirs: found[ours] for ours, theirs in _NAMES.items()}
    named |= {f"AP_/{name}": of_class["AP"] for name, of_class in found["per_class"].items()}
    return {name: _NOTHING if value is None else float(value) for name, value in named.items()}
