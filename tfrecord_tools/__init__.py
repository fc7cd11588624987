"""Annotations in, TFRecords out. Knows nothing of models or training; never imports TensorFlow."""
