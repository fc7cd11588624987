"""A trained model out: SavedModel, .tflite and ONNX, scored before they are written.

Map, in the order of imports:

    options            choices and defaults of the verbs
    source             which run, zoo folder or checkpoint is exported, with labels and records
    detection_op       TFLite_Detection_PostProcess: its options, and its place in a graph
    flatbuffer         a .tflite as an object: names, order of outputs, options, checks
    data_flow          does every output depend on the image, is an int8 file int8
    network_graph      the network as a graph: image -> box encodings, scores
    detection_graph    the end as a graph: box encodings, scores -> detections
    converter          graph -> .tflite, by TensorFlow's converter
    join               two .tflite files made one
    late_dequantize    int8 values are chosen before they are made float
    quantization       int8: calibration, ranges, weights, diagnosis, fine-tuning
    tflite             detector -> .tflite files of every form and precision
    metadata_writer, metadata   labels and descriptions inside a .tflite
    raw                the form without custom op: what decodes it, and the files beside it
    onnx_file          the raw form as ONNX
    targets            who a file is for: the consumer's rules, checked before it is written
    file_maker         one file with all that belongs beside it
    verify             what each file scores, and what it may lose
    report             export_report.json
    ladder             what is tried when int8 loses too much
    scored_files       all files of one command, made and scored
    tflite_files       the journey of `export-tflite`
    saved_model        detector -> SavedModel with the TF Object Detection API's signature
    benchmark          .tflite files side by side: latency, memory, ops
"""
