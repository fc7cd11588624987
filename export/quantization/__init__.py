"""int8 without loss: the images that set ranges, and the weights that lie on int8's steps.

calibration        real images that set the ranges of an int8 file
weight_rounding    depthwise kernels on the steps of int8
"""
