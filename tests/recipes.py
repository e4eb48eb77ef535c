"""Recipes that tests of several rooms start from."""

from __future__ import annotations

QUERIES = """
base = "tiny-llama"
[config]
r = 4
target_modules = ["q_proj"]
[[tensors]]
modules = "model.layers.{0-2}.self_attn.q_proj"
rank = 4
in = 32
out = 32
"""
"""A healthy LoRA at the queries of a tiny Llama."""
