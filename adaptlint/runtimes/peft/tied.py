"""Modules whose weights are the input embedding's.

Source: PEFT 0.21.2, utils/other.py, _get_module_names_tied_with_embedding.
"""

from __future__ import annotations

from adaptlint.bases import Base


def tied_modules(base: Base) -> list[str]:
    """Sorted paths of the modules that tying ties to the input embedding; the embedding itself is not among them."""
    if base.features.get("tie_word_embeddings") is False or base.input_embedding is None:
        return []
    keys = base.features.get("tied_weights_keys")
    if not keys:
        return []
    if not isinstance(keys, dict):
        return sorted({key.rpartition(".")[0] for key in keys})
    same = {f"{base.input_embedding}.weight"}
    for first, other in base.ties:
        if first in same or other in same:
            same |= {first, other}
    return sorted({key.rpartition(".")[0] for key, source in keys.items() if source in same})
