"""A trained model out: SavedModel and .tflite, scored before they are written."""
