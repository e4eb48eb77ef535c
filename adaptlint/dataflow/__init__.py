"""A model's forward as a graph of operations, run again on shapes alone."""
