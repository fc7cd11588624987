"""Pure tensor functions, no state: they see neither a config message, nor a path, nor a layer."""
