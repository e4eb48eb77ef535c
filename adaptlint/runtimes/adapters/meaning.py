"""What a composition stands for, row by row: the adapters that a row of the batch is meant to go through."""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.runtimes.adapters.composition import Block, stack
from adaptlint.runtimes.adapters.layers import shared_out
from adaptlint.runtimes.adapters.rows import Rows


def meant_for(setup: Block, row: int, rows: int) -> Block:
    """The composition that one of so many rows should see: a Stack, without any block that shares rows out."""
    found = _meant(setup, row, rows)
    return found if found.kind == "Stack" else stack(found)


def _meant(block: Block, row: int, rows: int) -> Block:
    if not block.kind:
        return block
    if block.kind == "Parallel":
        return _in(block, [rows // len(block.children)] * len(block.children), row)
    if block.kind == "BatchSplit":
        return _in(block, block.sizes("batch_sizes"), row)
    if block.kind == "MultiTask":
        return _in(block, shared_out(rows, len(block.children)), row)
    children = [_meant(child, row, rows) for child in block.children]
    if block.kind == "Stack":  # a stack in a stack is one stack
        children = [each for child in children for each in (child.children if child.kind == "Stack" else (child,))]
    return block._replace(children=tuple(children))


def _in(block: Block, sizes: list[int], row: int) -> Block:
    for size, child in zip(sizes, block.children, strict=False):
        if row < size:
            return _meant(child, row, size)
        row -= size
    return block.children[-1]


def unused(setup: Block) -> frozenset[str]:
    """Adapters that a BatchSplit gives no row."""
    found: set[str] = set()
    for block in setup.blocks():
        if block.kind == "BatchSplit":
            for size, child in zip(block.sizes("batch_sizes"), block.children, strict=False):
                if not size:
                    found |= child.names()
    return frozenset(found - {leaf.name for leaf in _with_rows(setup)})


def _with_rows(block: Block) -> list[Block]:
    if not block.kind:
        return [block]
    sizes = block.sizes("batch_sizes") if block.kind == "BatchSplit" else [1] * len(block.children)
    return [leaf for size, child in zip(sizes, block.children, strict=False) if size for leaf in _with_rows(child)]


def looked_at(out: Rows, batch: int, total: int) -> Iterable[int]:
    """The first and the last row of every piece and every channel, counted as if all channels had their rows."""
    marks = {0, total - 1} if total else set()
    for start in range(0, total, max(batch, 1)):
        marks |= {start, min(start + batch, total) - 1}
        for at in out.starts():
            marks |= {each for each in (start + at % max(batch, 1), at, at - 1) if 0 <= each < total}
    return marks
