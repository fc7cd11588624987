"""Checkpoints of TF1 models: whose they are, where their variables belong, what they presume.

`names` accounts for every variable name of a file, by the rules of `layers`; `shortcuts` compares
the graph behind a file with a model.
"""
