"""The widths of the layers that a LoRA file was trained on, read from its factors alone."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.bases.known import Width, bases_of
from adaptlint.findings import path_shape

A, B = ".lora_A.weight", ".lora_B.weight"
MOST = 4


def widths_of(file: TensorFile) -> tuple[set[Width], int]:
    """The widths of every pair of matrices, and the number of layers that the highest index implies."""
    widths: set[Width] = set()
    layers = 0
    for key, row in file.tensors.items():
        other = file.tensors.get(key.removesuffix(A) + B) if key.endswith(A) else None
        if other is None or len(row.shape) != 2 or len(other.shape) != 2:
            continue
        module = key.removesuffix(A)
        path, numbers = path_shape(module)
        widths.add(Width(path.partition(".*")[0], module.rpartition(".")[2], row.shape[1], other.shape[0]))
        layers = max(layers, next(iter(numbers), -1) + 1)
    return widths, layers


def likely_bases(file: TensorFile) -> str:
    """The public bases that these tensors fit, in words; "" where none is known."""
    names = bases_of(*widths_of(file))
    return ", ".join(names[:MOST]) + (" and others" if len(names) > MOST else "")
