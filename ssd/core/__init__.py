"""Pure tensor functions, no state: they see neither a config message, nor a path, nor a layer.

boxes                geometry: areas, overlaps, windows, corners <-> centre and size
anchors              the reference boxes of a pyramid or of SSD feature maps (NumPy, once)
box_coder            boxes <-> offsets from anchors
matcher              which groundtruth box each anchor learns
target_assigner      what the heads should output: boxes, matcher and coder over a batch
losses               per anchor, before normalization
post_processing      scores, suppression per class, detections
image_resizer        the resize in front of the network; image_resizer_numpy: without TensorFlow
"""
