"""One question about one runtime, and its answer."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.findings import Fault, Verdict
from adaptlint.named_tuple import NamedTuple


class Request(NamedTuple):
    """A target as the user wrote it ("peft", "peft==0.21.2") and what goes with it."""

    target: str
    transformers: str | None = None
    plan: str | None = None
    compose: str | None = None  # AdapterHub's expression over the adapters' names
    fusions: tuple[str, ...] = ()  # fusion layers that the model will have, by their names or folders
    attn: str | None = None  # the attention backend that the base is loaded with; None: transformers' own choice
    batch: int | None = None  # texts in the forward
    seq: int | None = None  # tokens of a text, virtual ones not counted
    decoder_seq: int | None = None  # tokens that the decoder of an encoder-decoder is given
    mask: str | None = None  # "none": no attention mask is passed; "padded": one that has padding
    python: str | None = None  # an interpreter that has AdapterHub's library, where no recorded forward is at hand
    cache: bool = True  # whether recorded forwards may be read from the cache and kept in it
    drawn: bool = True  # whether the shapes of a composition's forward are told

    @property
    def composed(self) -> bool:
        """True if a composition was asked about."""
        return self.compose is not None or bool(self.fusions)

    @property
    def has_conditions(self) -> bool:
        """True if anything was asked about the forward's conditions."""
        return any((self.attn, self.batch, self.seq, self.decoder_seq, self.mask))


class Prediction(NamedTuple):
    """What the runtime will do, and the faults behind it; `why` of the verdict is filled in by the engine."""

    verdict: Verdict
    faults: tuple[Fault, ...]
    reached: frozenset[str] = frozenset()  # how far the runtime got: injected, weights, loaded, conditions, combined
    shapes: Mapping[str, object] | None = None  # of one forward, where a composition was told
    composition: Mapping[str, object] | None = None  # nodes and edges that a reporter draws
