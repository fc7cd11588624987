"""What `export` takes: the kinds of files, and how a .tflite is quantized."""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, Any

from ssd.errors import InputError

if TYPE_CHECKING:
    from ssd.model_maker.data_loader import DataLoader

# As many calibration images at most as `export-tflite` takes by itself.
DEFAULT_QUANTIZATION_STEPS = 500
_INPUT_TYPES = ("uint8",)
_OUTPUT_TYPES = ("uint8", "float32")
_INTEGER_OPS = ("TFLITE_BUILTINS_INT8", "TFLITE_BUILTINS")


@unique
class ExportFormat(Enum):
    """Kinds of files; TFLITE, SAVED_MODEL and LABEL are what a detector is exported to."""

    TFLITE = "TFLITE"
    SAVED_MODEL = "SAVED_MODEL"
    LABEL = "LABEL"
    VOCAB = "VOCAB"
    TFJS = "TFJS"


class QuantizationConfig:
    """How a .tflite is quantized; `for_int8`, `for_float16` and `for_dynamic` make the usual ones.

    Args:
      optimizations: any; quantization to smaller numbers is the only one there is.
      representative_data: DataLoader whose pictures set the int8 ranges.
      quantization_steps: how many of these pictures; None: until the ranges hardly move, 500 at
        most.
      inference_input_type: "uint8" or tf.uint8; None is the same.
      inference_output_type: "uint8" or "float32"; the detections are float32 either way, as they
        were in Model Maker's files.
      supported_ops: TFLITE_BUILTINS_INT8 or TFLITE_BUILTINS, of tf.lite.OpsSet or by name.
      supported_types: with tf.float16 or "float16" among them, weights are stored as float16.
      experimental_new_quantizer: True or None; there is no other one any more.

    Attributes:
      quantize: "int8" with representative data, else "float16" or "dynamic".

    Raises:
      InputError: a value that would be ignored.
    """

    def __init__(
        self,
        optimizations: Any = None,
        representative_data: DataLoader | None = None,
        quantization_steps: int | None = None,
        inference_input_type: Any = None,
        inference_output_type: Any = None,
        supported_ops: Any = None,
        supported_types: Any = None,
        experimental_new_quantizer: bool | None = None,
    ) -> None:
        _require("inference_input_type", inference_input_type, _INPUT_TYPES, "pixels are uint8")
        _require(
            "inference_output_type", inference_output_type, _OUTPUT_TYPES, "detections are float32"
        )
        _require("supported_ops", supported_ops, _INTEGER_OPS, "no other ops are in the files")
        _require("supported_types", supported_types, ("float16", "int8"), "no others are stored")
        self.optimizations = optimizations
        self.representative_data = representative_data
        self.quantization_steps = quantization_steps
        self.inference_input_type = inference_input_type
        self.inference_output_type = inference_output_type
        self.supported_ops = supported_ops
        self.supported_types = supported_types
        self.experimental_new_quantizer = experimental_new_quantizer

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "experimental_new_quantizer" and value not in (None, True):
            raise InputError(
                f"experimental_new_quantizer={value}: TensorFlow has one quantizer by now; leave "
                "it out"
            )
        super().__setattr__(name, value)

    @property
    def quantize(self) -> str:
        """A choice of `export-tflite --quantize`."""
        if self.representative_data is not None:
            return "int8"
        return "float16" if "float16" in _names(self.supported_types) else "dynamic"

    @classmethod
    def for_dynamic(cls) -> QuantizationConfig:
        """Returns dynamic range quantization: int8 weights, float32 in between."""
        return cls()

    @classmethod
    def for_int8(
        cls,
        representative_data: DataLoader,
        quantization_steps: int | None = DEFAULT_QUANTIZATION_STEPS,
        inference_input_type: Any = "uint8",
        inference_output_type: Any = "uint8",
        supported_ops: Any = "TFLITE_BUILTINS_INT8",
    ) -> QuantizationConfig:
        """Returns full integer quantization; arguments as of the class."""
        if representative_data is None:
            raise InputError(
                "QuantizationConfig.for_int8: representative_data is None; give a DataLoader, such "
                "as the training data"
            )
        return cls(
            representative_data=representative_data,
            quantization_steps=quantization_steps,
            inference_input_type=inference_input_type,
            inference_output_type=inference_output_type,
            supported_ops=supported_ops,
        )

    @classmethod
    def for_float16(cls) -> QuantizationConfig:
        """Returns weights stored as float16."""
        return cls(supported_types=["float16"])


def _require(argument: str, value: Any, allowed: tuple[str, ...], why: str) -> None:
    for name in _names(value):
        if name not in allowed:
            raise InputError(
                f"QuantizationConfig: {argument} is {name}; {why}; {' or '.join(allowed)} was "
                "expected"
            )


def _names(value: Any) -> list[str]:
    """Names of one or several types, sets of ops or texts."""
    if value is None:
        return []
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    # A DType and an enum member have a name, a NumPy type __name__.
    return [str(getattr(v, "name", None) or getattr(v, "__name__", v)) for v in values]
