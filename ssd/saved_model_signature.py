"""What a SavedModel takes and gives, and the function in it that detects objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ssd.errors import InputError
from ssd.standard_fields import DetectionFields

OUTPUTS = (
    DetectionFields.detection_boxes,
    DetectionFields.detection_scores,
    DetectionFields.detection_classes,
    DetectionFields.num_detections,
)
_SIGNATURE = "serving_default"
# Class scores of the network: a column per class, and mostly one for the background.
_CLASS_SCORES = (DetectionFields.detection_multiclass_scores, DetectionFields.raw_detection_scores)
_COLUMNS_WITHOUT_BACKGROUND = (90, 80)
_LISTED_OUTPUTS = 6


@dataclass(frozen=True)
class DetectionFunction:
    """What detects objects.

    Attributes:
      call: uint8 [1, h, w, 3] -> OUTPUTS and perhaps more, by name.
      image_size: (H, W) where its input has a fixed size, else None.
      num_classes: C, by the columns of its class scores; None where it does not give them.
    """

    call: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    image_size: tuple[int, int] | None
    num_classes: int | None


def detection_function(loaded: Any, name: str) -> DetectionFunction:
    """Returns the signature serving_default or, where that is another, the call of the module.

    Args:
      loaded: of `tf.saved_model.load` or `hub.load`.
      name: what a person calls it, for messages.

    Raises:
      InputError: none of them takes uint8 [1, h, w, 3] and gives OUTPUTS; it says what there is.
    """
    for function, is_signature in _functions(loaded):
        inputs, outputs = _inputs(function), _outputs(function)
        if len(inputs) != 1 or not _is_image(inputs[0]) or not outputs.keys() >= set(OUTPUTS):
            continue
        height, width = inputs[0].shape[1:3]
        return DetectionFunction(
            _by_name(function, inputs[0].name) if is_signature else loaded,
            None if None in (height, width) else (height, width),
            _num_classes(outputs),
        )
    raise InputError(
        f"{name}: {_what_it_is(loaded)}; uint8 [1, h, w, 3] in and {', '.join(OUTPUTS)} out were "
        "expected"
    )


def _by_name(function: Any, argument: str) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    return lambda image: function(**{argument: image})


def _functions(loaded: Any) -> Iterator[tuple[Any, bool]]:
    """Yields the functions of a module, and whether it is the signature."""
    signatures = getattr(loaded, "signatures", {})
    if _SIGNATURE in signatures:
        yield signatures[_SIGNATURE], True
    for function in getattr(getattr(loaded, "__call__", None), "concrete_functions", ()):  # noqa: B004
        yield function, False


def _inputs(function: Any) -> list[tf.TensorSpec]:
    """Returns the specs of the tensors it takes; those of a signature under their argument."""
    positional, named = function.structured_input_signature
    specs = [spec for spec in tf.nest.flatten(positional) if isinstance(spec, tf.TensorSpec)]
    for argument, spec in sorted(named.items()):
        if isinstance(spec, tf.TensorSpec):
            specs.append(tf.TensorSpec(spec.shape, spec.dtype, argument))
    return specs


def _outputs(function: Any) -> dict[str, Any]:
    outputs = function.structured_outputs
    return outputs if isinstance(outputs, dict) else {}


def _is_image(spec: tf.TensorSpec) -> bool:
    shape = spec.shape.as_list() if spec.shape.rank == 4 else [0] * 4
    return spec.dtype == tf.uint8 and shape[0] in (1, None) and shape[3] in (3, None)


def _num_classes(outputs: dict[str, Any]) -> int | None:
    for name in _CLASS_SCORES:
        columns = outputs[name].shape[-1] if name in outputs and outputs[name].shape.rank else None
        if columns is not None:
            return int(columns) - (columns not in _COLUMNS_WITHOUT_BACKGROUND)
    return None


def _what_it_is(loaded: Any) -> str:
    """Returns what it takes and gives, in words."""
    functions = [function for function, _ in _functions(loaded)]
    if not functions:
        kind = "a TF1 hub module" if getattr(loaded, "_is_hub_module_v1", False) else "it"
        others = ", ".join(sorted(getattr(loaded, "signatures", {})))
        return f"{kind} has no {_SIGNATURE} signature (signatures: {others or 'none'})"
    takes = ", ".join(map(_spec_text, _inputs(functions[0]))) or "no tensor"
    outputs = sorted(_outputs(functions[0]))
    if set(outputs) >= set(OUTPUTS):
        return f"it takes {takes} (of this kit's exports, --input-type image_tensor is read)"
    listed = ", ".join(outputs[:_LISTED_OUTPUTS])
    more = ", ..." if len(outputs) > _LISTED_OUTPUTS else ""
    return f"it takes {takes} and gives {listed or 'no named outputs'}{more}"


def _spec_text(spec: tf.TensorSpec) -> str:
    if spec.shape.rank is None:
        return f"{spec.dtype.name} of any shape"
    sides = ", ".join("?" if side is None else str(side) for side in spec.shape)
    return f"{spec.dtype.name} [{sides}]"
