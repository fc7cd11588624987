"""The engine: from TFRecords and a pipeline.config to a trained detector, and back to numbers.

Map, in the order of imports (each room knows only the rooms above it):

    errors, standard_fields, file_kind   what a person sees when input is wrong; every key, once
    label_map, config         label_map.pbtxt and pipeline.config: files <-> typed messages
    core                      pure tensor functions: boxes, anchors, targets, losses, NMS
    models                    MobileNet, feature maps, box predictor, and the detector they form
    data                      TFRecords -> decoded, augmented, resized, padded batches
    zoo, checkpoint, optimizer, coco_metrics, visualize
    tflite_raw                .tflite files without custom op, decoded
    hub, predictor            models of TensorFlow Hub; every form of a model, called one way
    run_report                curves, worst images and report.html of an evaluation or a run
    video, coco_annotations   frames of videos and cameras; detections as annotations
    evaluate, detect, doctor, anchor_fit
    training                  flags -> plan -> session: steps, checkpoints, evaluation, resume
    model_maker               TFLite Model Maker's API for all of the kit; nobody imports it

Legend of shapes: B batch, H,W model input, h,w original image, A anchors, G groundtruth boxes
after padding, N before, C classes without background, D detections kept. Boxes are float32 yxyx
normalized everywhere between a reader and a report.
"""

__version__ = "0.1.0"  # as in CHANGELOG.md and CITATION.cff
