"""A trained model out: SavedModel and .tflite, scored before they are written.

Map, in the order of imports:

    options            choices and defaults of the verbs
    source             which run, zoo folder or checkpoint is exported, with labels and records
    detection_op       TFLite_Detection_PostProcess: its options, and its place in a graph
    flatbuffer         a converted .tflite put in order: names, order of outputs, options, checks
    metadata_writer    the metadata FlatBuffer
    metadata           labels and descriptions inside a .tflite
    quantization       int8: calibration images, weights on its steps
    tflite             detector -> bytes of a .tflite
    verify             what each file scores, and what it may lose
    report             export_report.json
    saved_model        detector -> SavedModel with the TF Object Detection API's signature
    tflite_files       the journey of `export-tflite`
"""
