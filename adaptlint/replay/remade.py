"""Adapters for a tiny base: every tensor gets the sizes that its module has there, and a fault stays the fault it was.

Which size becomes which is read off the two bases, module by module and axis by axis. Whether the fault is still the
same is not argued but checked: the small adapter's verdict has to be the large one's, in outcome, error and tensors.
"""

from __future__ import annotations

import json
import os
import re
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base, load_base
from adaptlint.engine import check
from adaptlint.findings import AdapterSubject, Asked, Finding, Mismatch, Report, Verdict
from adaptlint.graph import Adapter, Scene
from adaptlint.graph.scene import CONFIG, WEIGHTS, weights_of
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay.shrink import HEADS, KEY_HEADS, tiny
from adaptlint.replay.sizes import parameters
from adaptlint.runtimes import Request
from adaptlint.runtimes.peft.wanted_shapes import wanted_shapes

Shape = Sequence[int]
WIDTHS_IN_CONFIG = ("token_dim", "encoder_hidden_size")  # fields of prompt methods that are widths of the base
HEADS_IN_CONFIG = "num_attention_heads"
RANKS = ("r", "effective_rank")
RANK_LIKE = 8  # a size that is so many times smaller than every one of the module's is a rank, not a width
BASE_FILE = "config.json"
WIDER = (1, 2, 4, 8)  # how many times as wide as the smallest
NUMBERS = re.compile(r"\d+")
ITEM_BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16}


class Remade(NamedTuple):
    """A tiny base's config and parameters; for each adapter its config and the sizes of its tensors by name."""

    config: Mapping[str, Any]
    base: Base
    adapters: Sequence[Mapping[str, Any]]


class Narrow(Exception):
    """A rank that was smaller than every width would not be any more."""


class Impossible(Exception):
    """At tiny sizes it would be another case; the message says why."""


def remade(report: Report, verdict: Verdict, base: Base) -> Remade | str:
    """What is run in place of a large base and its adapters, or why that would decide nothing.

    Where sizes that differ come out alike, as a rank and a width may, wider bases are tried.
    """
    asked = report.subject.asked or Asked(report.subject.model_ref)
    told = ""
    for wider in WIDER:
        config = tiny(base.config, asked.seq or 0, whole=True, wider=wider)
        if config is None:
            return "a tiny model of it cannot be made: its config does not name its widths as others do"
        with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
            try:
                small = _small_base(config, asked, report, place)
                if parameters(small) >= parameters(base):
                    return told or "it is as small as a tiny model of it already"
                for ranks_first in (False, True):
                    sizes = Sizes(base, small, ranks_first)
                    made = [_adapter(each, sizes, verdict) for each in report.subject.adapters]
                    difference = _difference(report, verdict, made, os.path.join(place, str(ranks_first)))
                    if not difference:
                        return Remade(config, small, made)
                    told = told or f"at tiny sizes it would be another fault: {difference}"
            except Narrow as problem:
                told = told or f"a tiny model would not be the same case: {problem}"
            except (Impossible, ValueError, OSError) as problem:
                return f"a tiny model would not be the same case: {problem}"
    return told


def _difference(report: Report, verdict: Verdict, made: Sequence[Mapping[str, Any]], place: str) -> str:
    """What is said otherwise of the small adapters than of the large ones; `place` is written to."""
    asked = report.subject.asked or Asked(report.subject.model_ref)
    before = _verdict_on(report, verdict, asked.model, [each.path for each in report.subject.adapters])
    folders = [_written(each, os.path.join(place, str(number))) for number, each in enumerate(made)]
    after = _verdict_on(report, verdict, os.path.join(os.path.dirname(place), BASE_FILE), folders)
    return another(before, after)


def _small_base(config: Mapping[str, Any], asked: Asked, report: Report, place: str) -> Base:
    path = os.path.join(place, BASE_FILE)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(config, stream)
    small = load_base(path, model_class=asked.model_class or report.subject.model_class, cache=False)
    if not isinstance(small, Base):
        raise Impossible(f"the small base cannot be built ({small.reason})")
    return small


class Sizes:
    """Which size of the large base is which of the small one; `ranks_first`: a number of the config is a rank."""

    def __init__(self, large: Base, small: Base, ranks_first: bool) -> None:
        if large.by_path.keys() != small.by_path.keys():
            raise Impossible("the small base has other modules")
        self.large, self.small, self.ranks_first = large, small, ranks_first
        self.everywhere: dict[int, int] = {}
        for path in large.by_path:
            self.everywhere |= {size: new for size, new in self._of(path).items() if size not in self.everywhere}
        one, other = large.resolved_config, small.resolved_config
        both = [(one, other), *((one[name], other[name]) for name in one if isinstance(one[name], dict))]
        named = ((each, small, name) for each, small in both for name in HEADS + KEY_HEADS if name in each)
        self.heads: dict[Any, Any] = {each[name]: small[name] for each, small, name in named}

    def _of(self, path: str) -> dict[int, int]:
        one, other = self.large.by_path[path].params, self.small.by_path[path].params
        pairs = {(size, new) for name in one for size, new in zip(one[name], other.get(name, ()), strict=False)}
        sizes = [size for size, _ in pairs]
        return {size: new for size, new in pairs if sizes.count(size) == 1}  # equal ones may become different ones

    def module(self, key: str) -> dict[int, int]:
        """The sizes of the module that a tensor's name leads to; those of the whole base where it leads to none."""
        parts = key.split(".")
        for start in range(min(4, len(parts))):
            for end in range(len(parts) - 1, start, -1):
                path = ".".join(parts[start:end])
                if path in self.large.by_path and self.large.by_path[path].params:
                    return self._of(path)
        return {}

    def new(self, size: int, own: Mapping[int, int], ranks: frozenset[int]) -> int:
        """What becomes of one size of a tensor, `own` being those of its module, `ranks` the numbers of its config."""
        if size in ranks and (self.ranks_first or size not in own):
            return size
        for known in (own, self.everywhere):
            if size in known:
                return known[size]
        scale = own or self.everywhere
        if not scale or RANK_LIKE * size <= min(scale):
            return size
        near = min(scale, key=lambda each: max(each / size, size / each))
        found = max(1, round(size * scale[near] / near))
        while found in scale.values():  # a size that was the wrong one is still wrong
            found += 1
        return found


def _adapter(told: AdapterSubject, sizes: Sizes, verdict: Verdict) -> dict[str, Any]:
    """One adapter's config and the sizes of its tensors for the small base."""
    adapter = Adapter(told.name, told.path)
    file = weights_of(adapter)
    config: dict[str, Any] = dict(adapter.given)
    if not config:
        raise Impossible("its config cannot be read")
    if not isinstance(file, TensorFile) or file.others or file.duplicates:
        raise Impossible("its weights cannot be read")
    if any(row.dtype[0] in "IU" for row in file.tensors.values()):
        raise Impossible("it holds whole numbers, which may count what is fewer there")
    for name in WIDTHS_IN_CONFIG:
        if isinstance(config.get(name), int):
            config[name] = sizes.new(config[name], {}, frozenset())
    if config.get(HEADS_IN_CONFIG) in sizes.heads:
        config[HEADS_IN_CONFIG] = sizes.heads[config[HEADS_IN_CONFIG]]
    large, small = (_wanted(each, adapter, verdict) for each in (sizes.large, sizes.small))
    ranks = frozenset(numbers_in(config))
    rank = max((config[name] for name in RANKS if isinstance(config.get(name), int)), default=0)
    shapes = {}
    for key, row in file.tensors.items():
        own = sizes.module(key) or multiples(row.shape, adapter.given, config)
        if min(own, default=0) > rank >= min(own.values(), default=0):
            raise Narrow(f"its rank of {rank} would be no smaller than a width")
        plain = [sizes.new(size, own, ranks) for size in row.shape]
        known = key in large and key in small and len(row.shape) == len(large[key])
        shapes[key] = fitted(row.shape, large[key], small[key], plain) if known else plain
    return {"config": config, "shapes": shapes, "dtypes": {key: row.dtype for key, row in file.tensors.items()}}


def multiples(shape: Shape, given: Mapping[str, Any], config: Mapping[str, Any]) -> dict[int, int]:
    """Sizes of a prompt that are so many widths of the base: those of all its layers lie side by side."""
    width = given.get(WIDTHS_IN_CONFIG[0])
    if not isinstance(width, int) or width < 2:
        return {}
    return {size: size // width * config[WIDTHS_IN_CONFIG[0]] for size in shape if size and size % width == 0}


def _wanted(base: Base, adapter: Adapter, verdict: Verdict) -> Mapping[str, Shape]:
    version = verdict.version if verdict.target == "peft" else None
    return wanted_shapes(Scene(base.ref, base, (adapter,)), adapter, version, Request("", verdict.transformers))


def fitted(saved: Shape, large: Shape, small: Shape, plain: Shape) -> list[int]:
    """The small shape of a tensor that is wanted as `large` in the one base and as `small` in the other.

    What fits still does, axes that changed places still have, and a size that was too large or too small still is.
    `plain` is what its sizes become by themselves.
    """
    for order in permutations(range(len(large))) if sorted(saved) == sorted(large) else ():
        if [large[axis] for axis in order] == list(saved):
            return [small[axis] for axis in order]
    made = []
    for size, was, now, new in zip(saved, large, small, plain, strict=True):
        if was > 0 == now:
            raise Impossible("a tensor would be empty")
        scaled = round(size * now / max(1, was))
        if size == was:
            made.append(now)
        elif size > was:
            made.append(new if new > now else max(now + 1, scaled))
        else:
            made.append(new if new < now else max(1, min(now - 1, scaled)))
    return made


def numbers_in(value: Any, name: str = "") -> Iterator[int]:
    """Every whole number above one in a config, but those that are widths of the base."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers_in(each, str(key))
    elif isinstance(value, list):
        for each in value:
            yield from numbers_in(each, name)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 1 and name not in WIDTHS_IN_CONFIG:
        yield value


def _written(made: Mapping[str, Any], folder: str) -> str:
    """A folder with the config and a file of these tensors that holds no values: a check reads none."""
    os.makedirs(folder)
    with open(os.path.join(folder, CONFIG), "w", encoding="utf-8") as stream:
        json.dump(made["config"], stream)
    rows: dict[str, Any] = {}
    end = 0
    for key, shape in made["shapes"].items():
        dtype, start = made["dtypes"][key], end
        count = 1
        for size in shape:
            count *= size
        end += count * ITEM_BITS.get(dtype, 8) // 8
        rows[key] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(rows).encode()
    head += b" " * (-len(head) % 8)
    with open(os.path.join(folder, WEIGHTS[0]), "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + end)
    return folder


def _verdict_on(report: Report, verdict: Verdict, model: str, folders: Sequence[str]) -> tuple[Verdict, list[Finding]]:
    """The verdict on these files without their values, asked as the report was, and the findings it rests on."""
    asked = report.subject.asked or Asked(report.subject.model_ref)
    seen = check(
        model,
        [(each.name, folder) for each, folder in zip(report.subject.adapters, folders, strict=True)],
        targets=(f"{verdict.target}=={verdict.version}",),
        transformers=verdict.transformers,
        model_class=asked.model_class or report.subject.model_class,
        task=asked.task,
        plan=asked.plan,
        compose=report.subject.compose if verdict.target == "peft" else None,
        attn=report.subject.attn,
        batch=asked.batch,
        seq=asked.seq,
        decoder_seq=asked.decoder_seq,
        mask=asked.mask,
    )
    (found,) = seen.verdicts
    return found, [each for each in seen.findings if each.fingerprint in found.why]


def another(before: tuple[Verdict, list[Finding]], after: tuple[Verdict, list[Finding]]) -> str:
    """What is not the same about two verdicts, numbers aside; "" if everything is."""
    (one, why), (other, then) = before, after
    if (one.outcome, one.stage) != (other.outcome, other.stage):
        return f"{other.outcome} in place of {one.outcome}"
    errors = [(each.error.type, NUMBERS.sub("#", each.error.match)) if each.error else None for each in (one, other)]
    if errors[0] != errors[1]:
        return "another error would be raised"
    for name in ("missing_keys", "unexpected_keys", "left_at_init", "ignored"):
        if set(getattr(one, name)) != set(getattr(other, name)):
            return f"other tensors would be among {name.replace('_', ' ')}"
    if [_kind(each) for each in one.mismatched_keys] != [_kind(each) for each in other.mismatched_keys]:
        return "tensors would have other sizes than wanted in another way"
    if {(each.code, each.module, each.adapter) for each in why} != {(e.code, e.module, e.adapter) for e in then}:
        return f"{', '.join(sorted({e.code for e in then})) or 'nothing'} would be found"
    return ""


def _kind(told: Mismatch) -> tuple[object, ...]:
    """In which way a shape is not the wanted one: which axes, whether too large or too small, or only their order."""
    saved, wanted = told.checkpoint_shape, told.model_shape
    signs = tuple((one > other) - (one < other) for one, other in zip(saved, wanted, strict=False))
    return (told.key, len(saved), len(wanted), signs, sorted(saved) == sorted(wanted))
