"""The object detection task of TFLite Model Maker 0.4, answered by this kit.

A script changes its import lines from `tflite_model_maker` to `ssd.model_maker`, and nothing else:

    from ssd.model_maker import model_spec, object_detector
    from ssd.model_maker.config import ExportFormat, QuantizationConfig

Names, arguments and return values are those of that library's API documentation. Everything is done
by the verbs' own rooms; this package only translates. Nothing of the kit imports it. Map:

    config              ExportFormat, QuantizationConfig
    model_spec          `get`: a name -> a specification
    object_detector     what scripts import: DataLoader, specifications, ObjectDetector, create
    hparams, specs      EfficientDetSpec and its settings; which model answers which name
    labels              label_map arguments -> a label map
    data_loader         DataLoader: records with their label map
    voc_data, csv_data  annotations -> records, through `tfrecord_tools.convert`
    schedule            epochs -> steps, learning rates
    training_run        a specification and loaders -> a run folder, through `ssd.training`
    export_files        a run -> the files of `export`, through the export package
    metrics             COCO's metrics under Model Maker's names
    detector            ObjectDetector
"""

from ssd.model_maker import config, model_spec, object_detector

__all__ = ["config", "model_spec", "object_detector"]
