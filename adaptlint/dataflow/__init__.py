"""The forward of a model as a graph of operations, and how sizes move through it."""
