"""The `benchmark` verb: .tflite files of any maker side by side in one run; no TensorFlow.

Map, in the order of imports:

    graph         what a file's FlatBuffer says: inputs, ops by type and dtype, arithmetic
    input_data    what the files are fed with: a smooth picture, or a person's own
    worker        runs one file in a process of its own; imports LiteRT and NumPy only
    machine       what else kept the CPUs busy meanwhile
    measurement   the workers, file after file in rounds
    figures       medians, p90, shares, ratios to the first file: the object of `--json`
    tables        the same figures for a screen
    command       flags, and the journey
"""
