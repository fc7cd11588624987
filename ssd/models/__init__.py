"""Keras layers that form the detector, and the builder that reads their part of the config."""
