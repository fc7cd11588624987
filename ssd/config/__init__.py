"""pipeline.config and label_map.pbtxt as typed messages; nothing here imports TensorFlow."""
