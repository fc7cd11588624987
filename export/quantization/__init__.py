"""int8 without loss.

Map, in the order of imports:

    calibration             real images that set the ranges of an int8 file
    activation_ranges       what every tensor of the float network reaches on them
    weight_rounding         depthwise kernels on the steps of int8
    box_columns             box encodings brought to one range
    biases                  one of its own for every layer
    pixel_shift             the half level by which pixels are read too bright, taken out
    int8                    float network and ranges -> int8 network
    grids, operators, fake_quantized_network   the int8 network as TensorFlow computes it, trainable
    operator_noise, diagnosis   where it loses what
    distillation, fine_tuning   quantization-aware fine-tuning: in int8 what it is in float
"""
