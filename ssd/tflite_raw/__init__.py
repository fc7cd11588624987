"""A .tflite of the form `raw`: box encodings and scores come out, detections are made here.

ssd_decode    encodings and scores -> detections, in NumPy; needs nothing else of this project
outputs       the two outputs of such a file, found and decoded
"""
