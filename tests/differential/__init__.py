"""Adapters made, mutated and loaded by real PEFT, compared with the verdict."""
