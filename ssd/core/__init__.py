"""Pure tensor functions, no state: they see neither a config message, nor a path, nor a layer.

boxes                geometry: areas, overlaps, windows, corners <-> centre and size
anchors              the reference boxes of a pyramid or of SSD feature maps (NumPy, once)
anchor_grid          what the generators share: cells around the centres of a grid
anchor_generators    the generators as objects, also for sizes known at run time only
anchor_overlap       the best IoU of boxes with anchors, without comparing all (NumPy)
box_coder            boxes <-> offsets from anchors
similarity           how alike boxes and anchors are
matcher              which groundtruth box each anchor learns; bipartite_matcher: one anchor each
target_assigner      what the heads should output: boxes, matcher and coder over a batch
localization_losses, classification_losses    per anchor, before normalization
losses               what both are divided by
hard_example_miner, example_sampling, expected_loss_weights    which anchors train, and how much
score_conversion     logits -> scores; calibration: corrections of these
post_processing      suppression per class, detections; the ways of suppression are greedy_nms,
                     static_nms, partitioned_nms and combined_nms, their types in detections
image_resizer        the resize in front of the network; image_resizer_numpy: without TensorFlow
"""
