"""One forward of a composition with whichever AdapterHub library is installed, and whether it is what is meant.

What is meant: a channel of a Parallel, a slice of a BatchSplit, a task of a MultiTask is what its own adapters alone
give; an Average, Fuse or Split of one adapter with itself is that adapter; every member has a part in the result; a row
with padding is that row without it; sdpa gives what eager attention gives; wrapping alone does not change a model.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from typing import Any, Callable, Union

from .tolerances import ROUNDING

Record = dict[str, Any]
Written = Union[str, list[Any]]  # a name, or [kind, [children], {settings}]
NEAR = 1e-4
FIRST_ID, PADDING = 5, 2  # the least token id of a text; padding tokens at the end of the first text
KINDS = ("Stack", "Fuse", "Split", "BatchSplit", "Parallel", "Average", "MultiTask")
SHARING, MERGING = ("Parallel", "BatchSplit", "MultiTask"), ("Average", "Fuse", "Split")


class Forwards:
    """The model of one case, with its adapters loaded; `sizes` are batch, seq, decoder_seq."""

    def __init__(self, model: Any, case: Record, masked: bool) -> None:
        self.model, self.sizes, self.masked = model, case["sizes"], masked
        self.fusions = case.get("fusions", [])

    def inputs(self) -> Record:
        """Ordinary inputs of these sizes, the same each time."""
        import torch

        torch.manual_seed(1)
        config, batch = self.model.config, self.sizes["batch"]
        if self.model.main_input_name == "pixel_values":
            pixels = torch.randn(batch, config.num_channels, config.image_size, config.image_size)
            return {"pixel_values": pixels.to(self.model.device, self.model.dtype)}
        part = getattr(config, "encoder", getattr(config, "text_config", config))
        words = part.vocab_size
        if self.model.main_input_name == "input_features":
            shape, length = (batch, self.sizes["decoder_seq"]), 2 * config.max_source_positions
            sounds = {"input_features": torch.randn(batch, config.num_mel_bins, length)}
            return {**sounds, "decoder_input_ids": torch.randint(FIRST_ID, words, shape), "use_cache": False}
        made = {"input_ids": torch.randint(FIRST_ID, words, (batch, self.sizes["seq"]))}
        if config.is_encoder_decoder:
            shape = (batch, self.sizes["decoder_seq"])
            made["decoder_input_ids"] = torch.randint(FIRST_ID, words, shape)
        if self.masked:
            made["attention_mask"] = torch.ones_like(made["input_ids"])
            made["attention_mask"][0, -PADDING:] = 0
        if hasattr(config, "vision_config") and hasattr(config, "text_config"):
            seen = config.vision_config
            pixels = torch.randn(batch, seen.num_channels, seen.image_size, seen.image_size)
            made["pixel_values"] = pixels.to(self.model.dtype)
        made = {name: value.to(self.model.device) for name, value in made.items()}
        caches = hasattr(config, "use_cache") and "use_cache" in signature(type(self.model).forward).parameters
        return {**made, "use_cache": False} if caches else made

    def run(self, setup: Any, change: Callable[[Record], Record] = dict) -> Any:
        """The first output with this composition active (None: with no adapter)."""
        import torch

        self.model.eval()  # a fusion layer is new, and drops out like anything that is trained
        self.model.set_active_adapters(setup)
        given = change(self.inputs())
        if setup is not None and "MultiTask" in str(setup):
            count = max(len(block) for block in inside(setup) if kind(block) == "MultiTask")
            sizes = [len(part) for part in torch.arange(self.sizes["batch"]).tensor_split(count)]
            tasks = torch.repeat_interleave(torch.arange(count), torch.tensor(sizes))
            given["task_ids"] = tasks.to(self.model.device)
        with torch.no_grad():
            return self.model(**given)[0]

    def cached(self) -> int | None:
        """How many tokens a forward without any adapter leaves in the cache; None for a model without one."""
        import torch

        self.model.set_active_adapters(None)
        with suppress(Exception), torch.no_grad():
            held = self.model(**{**self.inputs(), "use_cache": True}).past_key_values
            return int(held[0][0].shape[-2] if isinstance(held, tuple) else held.get_seq_length())
        return None

    def faults(self, setup: Any) -> Iterator[str]:
        """What is not as it is meant; raises what the library raises."""
        batch, found = self.sizes["batch"], self.run(setup)
        channels = getattr(setup, "parallel_channels", 1)
        if len(found) != batch * channels:
            yield f"{len(found)} rows, {batch * channels} are meant"
        for row, own in enumerate(self._owns(setup, found)):
            with suppress(Exception):  # alone it raises as well: nothing to hold it against
                if unlike(found[row], self.run(own)[row % batch]):
                    yield f"row {row} is not what {own} gives"
                    break
        yield from self._merged(setup, found)
        yield from (idle for idle, decides in self.idle(setup, found) if decides)
        yield from self._padded(setup, found)

    def _owns(self, setup: Any, found: Any) -> list[Any]:
        """What each row is meant to go through, where rows are shared out."""
        rows = self.sizes["batch"] * getattr(setup, "parallel_channels", 1)
        sharing = any(kind(block) in SHARING for block in inside(setup))
        return [meant(setup, row, rows) for row in range(len(found))] if sharing else []

    def _merged(self, setup: Any, found: Any) -> Iterator[str]:
        for block in inside(setup):
            if kind(block) in MERGING:
                one = leaves(block)[0]
                with suppress(Exception):
                    same = swapped(setup, block, one)
                    if kind(block) == "Fuse":
                        name = ",".join([one] * len(block))
                        self.model.add_adapter_fusion(name.split(","))
                    if unlike(self.run(swapped(setup, block, alike(block, one))), self.run(same)):
                        yield f"{kind(block)} of {one} with itself is not {one}"

    def idle(self, setup: Any, found: Any) -> Iterator[tuple[str, bool]]:
        """Adapters without a part in the result, and whether that is a fault: not where rows are shared out and it
        has none either beside the others of its own rows."""
        owns = {str(own): own for own in self._owns(setup, found)}
        for name in dict.fromkeys(leaves(setup)):
            own = [one for one in owns.values() if name in map(str, leaves(one))]
            if (own or not owns) and not self._has_part(name, setup, found):
                decides = not shares_rows(setup) or any(len(leaves(one)) == 1 or self._acts(name, one) for one in own)
                yield f"{name} has no part in the result", decides

    def _acts(self, name: str, own: Any) -> bool:
        """Whether an adapter has a part in what its rows' adapters give alone; where that raises, so it is taken."""
        with suppress(Exception):
            return self._has_part(name, own, self.run(own))
        return True

    def _has_part(self, name: str, setup: Any, found: Any) -> bool:
        """Whether other numbers in an adapter give another result than the one that was found."""
        import torch

        own = [value for path, value in self.model.named_parameters() if name in path.split(".")]
        kept = [value.detach().clone() for value in own]
        for value in own:
            value.data += 0.3 * torch.randn_like(value)
        try:
            return bool(unlike(found, self.run(setup)))
        finally:
            for value, before in zip(own, kept):
                value.data.copy_(before)

    def _padded(self, setup: Any, found: Any) -> Iterator[str]:
        """The first text against itself without its padding, or with other tokens there.

        Other tokens where the base itself gives something else without a mask: Llama under sdpa in 0.2.2 is causal with
        a mask alone.
        """
        if not self.masked or self.model.config.is_encoder_decoder:
            return
        real = self.sizes["seq"] - PADDING

        def alone(given: Record) -> Record:
            return {**given, "input_ids": given["input_ids"][:1, :real], "attention_mask": None}

        def refilled(given: Record) -> Record:
            ids = given["input_ids"].clone()
            ids[0, real:] = ids[0, real:] - 1
            return {**given, "input_ids": ids}

        with suppress(Exception):
            same = not unlike(self.run(None)[0][:real], self.run(None, alone)[0])
            other = self.run(meant(setup, 0, len(found)), alone)[0] if same else self.run(setup, refilled)[0][:-PADDING]
            front = other.shape[0] - real  # a prompt stands before the text
            if other.dim() > 1 and unlike(found[0][front : front + real], other[front:]):
                yield "a text with padding is not that text without it"


def filled(model: Any, names: list[str]) -> None:
    """Numbers in the adapters that are neither zero nor alike, whatever their files hold."""
    import torch

    for path, value in model.named_parameters():
        name = next((name for name in names if name in path.split(".")), None)
        if name is not None:
            torch.manual_seed(zlib.crc32(path.encode()))
            value.data = 0.3 * torch.randn_like(value)


def read(written: Written) -> Any:
    """A composition as the library's blocks."""
    from adapters import composition as blocks

    if isinstance(written, str):
        return written
    name, children, settings = written
    if name not in KINDS:
        raise ValueError(f"no block {name}")
    return getattr(blocks, name)(*map(read, children), **settings)


def kind(block: Any) -> str:
    """The block's name, "" for an adapter."""
    return "" if isinstance(block, str) else type(block).__name__


def inside(block: Any) -> Iterator[Any]:
    """The block and every one in it."""
    if not isinstance(block, str):
        yield block
        for child in block:
            yield from inside(child)


def shares_rows(block: Any) -> bool:
    """Whether rows are shared out, elsewhere than among adapters that are merged with others into every row."""
    if isinstance(block, str) or kind(block) in MERGING:
        return False
    return kind(block) in SHARING or any(map(shares_rows, block))


def leaves(block: Any) -> list[str]:
    """The adapters in order."""
    return [block] if isinstance(block, str) else [name for child in block for name in leaves(child)]


def meant(block: Any, row: int, rows: int) -> Any:
    """What one of so many rows is meant to go through, without the blocks that share rows out."""
    import torch
    from adapters import composition as blocks

    if isinstance(block, str):
        return blocks.Stack(block)
    if kind(block) in SHARING:
        sizes = [rows // len(block)] * len(block)
        if kind(block) == "BatchSplit":
            sizes = block.batch_sizes
        elif kind(block) == "MultiTask":
            sizes = [len(part) for part in torch.arange(rows).tensor_split(len(block))]
        for size, child in zip(sizes, block):
            if row < size:
                return meant(child, row, size)
            row -= size
    if kind(block) in MERGING:
        return blocks.Stack(block)
    own = [meant(child, row, rows) for child in block]
    return blocks.Stack(*(each for one in own for each in one))


def swapped(setup: Any, block: Any, other: Any) -> Any:
    """The composition with another in the place of one of its blocks."""
    if setup is block:
        return other
    if isinstance(setup, str):
        return setup
    return like(setup, [swapped(child, block, other) for child in setup])


def alike(block: Any, name: str) -> Any:
    """The block with this adapter for every child."""
    return like(block, [name] * len(block))


def like(block: Any, children: list[Any]) -> Any:
    """A block of the same kind and settings."""
    settings = {name: getattr(block, name) for name in ("splits", "batch_sizes", "weights") if hasattr(block, name)}
    if "weights" in settings:
        settings["normalize_weights"] = False  # they are kept as they came out
    return type(block)(*children, **settings)


def unlike(one: Any, other: Any) -> bool:
    """Whether two outputs differ in shape or by more than rounding, which in half types grows with the numbers."""
    import torch

    if one.shape != other.shape:
        return True
    near = ROUNDING.get(str(one.dtype).partition(".")[2], NEAR)
    room = near * max(1.0, float(other.abs().max())) if near > NEAR and other.numel() else NEAR
    return not torch.allclose(one, other, rtol=max(near, NEAR), atol=room)


def text_of(written: Written) -> str:
    """A composition as it is written."""
    if isinstance(written, str):
        return written
    return "{}({})".format(written[0], ", ".join(map(text_of, written[1])))
