"""The generated sample data set: objects and surfaces are drawn, a scene placed, a set written."""
