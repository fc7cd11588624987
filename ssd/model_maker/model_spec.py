"""`model_spec.get`: a name -> the specification of a model."""

from __future__ import annotations

from typing import Any

from ssd.errors import InputError
from ssd.model_maker.specs import LITE_MODELS, EfficientDetSpec

OBJECT_DETECTION_MODELS = list(LITE_MODELS)


def get(spec_or_str: Any, *args: Any, **kwargs: Any) -> EfficientDetSpec:
    """Returns a specification; one that is a specification already as it is.

    Args:
      spec_or_str: efficientdet_lite0 to 4, the name of a config of this kit, a pipeline.config
        file, a specification, or a class or function that makes one.
      args, kwargs: of EfficientDetSpec, behind the name.

    Raises:
      InputError: no such model, or an argument that would be ignored.
    """
    if isinstance(spec_or_str, EfficientDetSpec):
        if args or kwargs:
            given = ", ".join([*map(repr, args), *kwargs])
            raise InputError(f"model_spec.get: {given}: the specification is made already")
        return spec_or_str
    if callable(spec_or_str):
        return get(spec_or_str(*args, **kwargs))
    if not isinstance(spec_or_str, str):
        raise InputError(
            f"model_spec.get: {spec_or_str!r}; a name such as 'efficientdet_lite0' was expected"
        )
    return EfficientDetSpec(spec_or_str, *args, **kwargs)
