"""Runs the TFLite Task Library's ObjectDetector; for a Python that has tflite-support, and no more.

tflite-support needs protobuf 3 and cannot be installed beside today's TensorFlow, so this file is
run by another Python: task_library_runner.py MODEL PICTURES.npy FOUND.json writes a list of
[ymin, xmin, height, width in pixels, name, score] for each picture.
"""

import json
import sys

import numpy as np


def main(model: str, pictures: str, output: str) -> None:
    # Late: whoever collects tests imports this file without tflite-support.
    from tflite_support.task import core, processor, vision

    options = vision.ObjectDetectorOptions(
        core.BaseOptions(file_name=model),
        processor.DetectionOptions(max_results=100, score_threshold=0.25),
    )
    detector = vision.ObjectDetector.create_from_options(options)
    found = []
    for picture in np.load(pictures):
        result = detector.detect(vision.TensorImage.create_from_array(picture))
        found.append(
            [
                [
                    detection.bounding_box.origin_y,
                    detection.bounding_box.origin_x,
                    detection.bounding_box.height,
                    detection.bounding_box.width,
                    category.category_name,
                    category.score,
                ]
                for detection in result.detections
                for category in detection.categories
            ]
        )
    with open(output, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
