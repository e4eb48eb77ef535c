"""Vocabularies: the tokenizer beside the adapter, the rows in its file, and the rows of the base."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.artefacts import Folder, added_token_ids
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

PADDING = (8, 16, 32, 64, 128, 256)
SLICES = (2, 4, 8, 16, 32)
HEADS = ("score", "classifier", "qa_outputs")


def tokens_without_rows(wrapped: Wrapped, adapter: Adapter, result: Loaded, settings: Settings) -> Iterator[Fault]:
    """Tokens of the adapter's tokenizer that the loaded embedding has no row for."""
    embedding = wrapped.base.input_embedding or ""
    weight = wrapped.by_path[embedding].params.get("weight") if embedding in wrapped.by_path else None
    if not weight or not isinstance(adapter.folder, Folder):
        return
    file, ids = added_token_ids(adapter.folder)
    beyond = [index for index in ids if index >= weight[0]]
    if beyond:
        facts: dict[str, Fact] = {
            "file": file,
            "beyond": len(beyond),
            "highest": max(beyond),
            "rows": weight[0],
            "needed": max(beyond) + 1,
        }
        at = Where(f"{adapter.folder.path}/{file}")
        yield Fault("tokens-without-rows", module=embedding, at=at, facts=facts)


def size_hint(base: Base, folder: object, fault: Fault) -> str:
    """What made a whole module another size, in words; "" where nothing fits."""
    found, expected = fault.facts.get("checkpoint_shape"), fault.facts.get("model_shape")
    if not isinstance(found, list) or not isinstance(expected, list) or not found or found[1:] != expected[1:]:
        return ""
    theirs, ours = int(found[0]), int(expected[0])
    if fault.module.split(".")[0] in HEADS:
        return f" The head was trained with {theirs} labels: load the base with num_labels={theirs}."
    if fault.reason == "token-rows-disagree" or fault.module not in (base.input_embedding, base.output_embedding):
        return ""
    length = max(added_token_ids(folder)[1], default=-1) + 1 if isinstance(folder, Folder) else 0
    return _grown(theirs, length) if theirs > ours else _cut(theirs, ours, length)


def _grown(theirs: int, length: int) -> str:
    told = (
        f" The vocabulary had grown to {theirs} rows: call resize_token_embeddings({theirs}) on the base before loading"
    )
    unit = next((unit for unit in PADDING if length and theirs == -(-length // unit) * unit), 0)
    if length == theirs:
        return f"{told}, which is what the tokenizer beside the adapter has."
    if unit:
        return f"{told}; the tokenizer beside it has {length} tokens, padded to a multiple of {unit}."
    return f"{told}."


def _cut(theirs: int, ours: int, length: int) -> str:
    if theirs and length == theirs:
        return (
            f" The rows were cut to the tokenizer's {length} tokens, and the base pads its vocabulary to {ours}: "
            f"resize the base to {length}, or drop the copy if it was not trained."
        )
    parts = next((parts for parts in SLICES if theirs * parts == ours), 0)
    if parts:
        return (
            f" That is 1/{parts} of the base's rows, as when one device of {parts} saved its slice of the vocabulary."
        )
    return f" The base has {ours - theirs} rows more than the one it was trained on."
