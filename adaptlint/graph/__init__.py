"""What was given, joined: the module graph, adapters, and which tensor belongs to which module."""
