"""PEFT: config, injection and load, step by step, on shapes alone."""
