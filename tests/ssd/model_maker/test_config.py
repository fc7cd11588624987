from __future__ import annotations

import pytest
import tensorflow as tf

from ssd.errors import InputError
from ssd.model_maker.config import ExportFormat, QuantizationConfig
from ssd.model_maker.export_files import formats_of

DATA = object()


def test_what_the_usual_ones_are():
    int8 = QuantizationConfig.for_int8(DATA, 70, tf.uint8, tf.uint8)
    assert (int8.quantize, int8.representative_data, int8.quantization_steps) == ("int8", DATA, 70)
    assert QuantizationConfig.for_float16().quantize == "float16"
    assert QuantizationConfig.for_dynamic().quantize == "dynamic"


def test_its_constructor():
    made = QuantizationConfig(
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_data=DATA,
        supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    )
    assert made.quantize == "int8"
    assert QuantizationConfig(supported_types=[tf.float16]).quantize == "float16"
    assert QuantizationConfig(optimizations=[tf.lite.Optimize.DEFAULT]).quantize == "dynamic"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inference_input_type": tf.int8}, "inference_input_type is int8; pixels are uint8"),
        ({"inference_output_type": tf.int8}, "inference_output_type is int8; detections are"),
        ({"supported_ops": tf.lite.OpsSet.SELECT_TF_OPS}, "supported_ops is SELECT_TF_OPS"),
        ({"supported_types": ["int16"]}, "supported_types is int16"),
    ],
    ids=["input", "output", "ops", "types"],
)
def test_what_would_be_ignored_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        QuantizationConfig(representative_data=DATA, **given)


def test_the_new_quantizer_is_the_only_one():
    config = QuantizationConfig.for_dynamic()
    config.experimental_new_quantizer = True
    with pytest.raises(InputError, match="experimental_new_quantizer=False: TensorFlow has one"):
        config.experimental_new_quantizer = False


def test_int8_needs_pictures():
    with pytest.raises(InputError, match="for_int8: representative_data is None"):
        QuantizationConfig.for_int8(None)


def test_formats():
    both = [ExportFormat.LABEL, ExportFormat.TFLITE]
    assert formats_of(None) == [ExportFormat.TFLITE]
    assert formats_of(ExportFormat.SAVED_MODEL) == [ExportFormat.SAVED_MODEL]
    assert formats_of(both) == both
    for other in (ExportFormat.TFJS, ExportFormat.VOCAB, "TFLITE"):
        with pytest.raises(InputError, match=r"export_format=\w+: a detector is exported to "):
            formats_of(other)
