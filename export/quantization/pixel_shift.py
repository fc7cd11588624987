"""The half level by which an int8 file reads its pixels too bright, taken out again.

Pixels 0..255 stand for -1..1, so 0.0 lies between 127 and 128. An int8 tensor has 0.0 on one of its
steps, and the quantizer takes 127: every pixel is read as half a level more than it is. The first
convolution's bias can take that back: it costs nothing, and the file still gets pixels as they are.
"""

from __future__ import annotations

from typing import Any

from export.flatbuffer import Constants, operators_of
from export.quantization.biases import own_bias

_HALF_LEVEL = 0.5 / 127.5


def center_pixels(model: Any, *, undo: bool = False) -> None:
    """Takes half a level times the sum of the kernel from the bias of the first convolution.

    Nothing is changed where the image goes elsewhere too, or the convolution has no bias.

    Args:
      model: ModelT of a float .tflite, changed in place.
      undo: adds it again.
    """
    image = int(model.subgraphs[0].inputs[0])
    readers = [o for o in model.subgraphs[0].operators if image in o.inputs]
    convolutions = [o for o in operators_of(model, "CONV_2D") if int(o.inputs[0]) == image]
    if len(readers) != 1 or len(convolutions) != 1:
        return
    bias = own_bias(model, convolutions[0])
    if bias is None:
        return
    constants = Constants(model)
    kernel = constants[int(convolutions[0].inputs[1])]  # [out, height, width, in]
    brightness = kernel.sum(axis=(1, 2, 3)) * _HALF_LEVEL
    constants[bias] = constants[bias] + (brightness if undo else -brightness)
