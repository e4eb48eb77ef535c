"""A composition walked through a recorded forward: what each of AdapterHub's layers does with what it is given.

Shapes go on through the graph; numbers are looked at layer by layer, where every row is held against what the same
layer gives when the row's own adapters are active alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adaptlint.dataflow.value import Conflict, Value
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.bottleneck import BottleneckLayer, Place
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.layers import Config, Context
from adaptlint.runtimes.adapters.lora import LoraLayer, Sizes, merged_forward
from adaptlint.runtimes.adapters.meaning import looked_at, meant_for
from adaptlint.runtimes.adapters.numbers import adapters_in, term
from adaptlint.runtimes.adapters.others import PAIRED, invertible, kept, prompt, prompt_mask, reft
from adaptlint.runtimes.adapters.parts import Part
from adaptlint.runtimes.adapters.prefix import PrefixLayer
from adaptlint.runtimes.adapters.rows import Raised, Rows, whole

KINDS = {
    "hub.lora": "lora",
    "hub.merged_lora": "lora",
    "hub.bottleneck": "bottleneck",
    "hub.prefix": "prefix",
    "hub.reft": "reft",
    "hub.prompt": "prompt",
    "hub.invertible": "invertible",
}
TASKED = ("", "encoder")  # models that `task_ids` reach: a model of two hands them to its encoder alone
CROSSING = ("cross", "encoder")  # what the places begin with that a prefix's config may leave out
ATTENTION = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
QUERIES = 2  # the axis of a mask that has a place for each query
Given = list[Rows | None]
Run = Callable[[Block, Given, Context], list[Rows]]


class Note(NamedTuple):
    """Something that is not as it should be, though nothing raises: a reason, where, and what there is to say.

    One that does not decide leaves the numbers what the composition's parts give alone.
    """

    reason: str
    module: str
    facts: dict[str, Any]
    decides: bool = True


class HubLayers:
    """The layers of one model under one composition. `heads` and `width` are those of a pool's prefixes, where they
    are not the keys' own."""

    def __init__(
        self,
        setup: Block,
        adapters: Mapping[str, list[Part]],
        release: tuple[int, ...],
        fusions: frozenset[str] = frozenset(),
        pool: tuple[int | None, int | None] = (None, None),
    ) -> None:
        self.setup = setup
        self.adapters = adapters
        self.release = release
        self.fusions = fusions
        self.pool = pool
        self.contexts: dict[str, Context] = {}
        self.numbers: list[tuple[str, int]] = []
        self.takes: frozenset[str] = frozenset()
        self.shared: dict[str, Sizes] = {}
        self.at_work: set[str] = set()
        self.placed: set[str] = set()
        self.notes: list[Note] = []
        self.prefixed = False

    def state(self, layer: str) -> object:
        """What its answers depend on in this layer."""
        contexts = tuple((path, one.state()) for path, one in self.contexts.items())
        return contexts, self._around(layer), self.left_in(layer), tuple(self.shared)

    def left_in(self, layer: str) -> tuple[bool, ...]:
        """Which methods leave this layer out: what else stands at a place is the same in all layers."""
        number = self._number(layer + ".") if layer else -1
        return tuple(self._is_left(part, number) for name in sorted(self.adapters) for part in self.adapters[name])

    def outputs(self, op: str, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...]:
        """What the operation returns. Raises Conflict where the library or torch raises."""
        try:
            return self._outputs(op, module, args, about)
        except Raised as raised:
            raise Conflict(raised.kind, raised.text) from None

    def watch(self, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...] | None:
        """Attention that is causal from the first key on, though a prefix is in front; and values longer than keys,
        which torch's kernel for the CPU does not compare (torch 2.13, `scaled_dot_product_attention`)."""
        given = {**dict(zip(ATTENTION, args, strict=False)), **about}
        query, key, value = (given[name].shape for name in ATTENTION[:3])
        if self.prefixed and given.get("is_causal") and query[-2] != key[-2]:
            self.note("prefix-behind-causal-mask", module, queries=query[-2], keys=key[-2])
        alike = query[:2] == key[:2] == value[:2] and query[-1] == key[-1]
        if alike and key[-2] != value[-2] and given.get("attn_mask") is None:
            self.note("values-beyond-keys", module, keys=key[-2], values=value[-2])
            return (given["query"]._replace(shape=(*query[:-1], value[-1])),)
        return None

    def note(self, reason: str, module: str, **facts: Any) -> None:
        """Keep what there is to say about a layer."""
        self.notes.append(Note(reason, module, facts))

    def standing_at(self, kind: str, module: str, about: Mapping[str, Any]) -> dict[str, Config]:
        """The adapters of the composition that have this site (`ModelAdaptersConfig.match`, `add_adapter`)."""
        found: dict[str, Config] = {}
        if kind == "prompt" and "prompt_tuning" not in self.takes:
            return found
        number, location, attn = self._number(module), about.get("location"), about.get("attn")
        if kind == "prefix" and not str(location).startswith(CROSSING):
            location = None
        for name in sorted(self.setup.names()):
            for part in self.adapters.get(name, ()):
                config = part.config
                if part.kind != kind or (kind not in ("prompt", "invertible") and self._is_left(part, number)):
                    continue
                placed = kind in ("prompt", "invertible") or location is None or config.get(location)
                if placed and (attn is None or attn in config.get("attn_matrices", ())):
                    found[name] = config
        return found

    def _outputs(self, op: str, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...]:
        if op == "hub.context":
            self._enter(module, args, about)
            return ()
        context = self.contexts[self._around(module)]
        if op in PAIRED:
            return PAIRED[op](args)
        if op == "hub.prompt_mask":
            return (args[0]._replace(shape=self._lengthened(args[0], about["dim"], module, context)),)
        here = self.standing_at(KINDS[op], module, about)
        given = [self._rows(value, context, name) for value, name in zip(args, "xyzm", strict=False)]
        run = self._layer(op, here, about, given)
        if here:
            self.placed |= here.keys()
        if not here and op != "hub.bottleneck":
            return tuple(value for value in args[-1:] if value is not None) if op != "hub.prefix" else kept(args)
        found = run(self.setup if here else Block(""), given, context)
        if here:
            self._hold(run, given, found, context, module, op)
            for block in context.divided[:1]:
                self.note("average-divided-twice", module, op=op, block=str(block))
            context.divided.clear()
        if op == "hub.prefix" and here:
            self.prefixed = True
            self._masked(args[3] if len(args) > 3 else None, module, about)
        passed = kept(args) if op == "hub.prefix" else args[:1]
        kinds = [args[-1].kind] if op in ("hub.lora", "hub.merged_lora") else [value.kind for value in passed]
        return tuple(Value(rows.shape, kind) for rows, kind in zip(found, kinds, strict=False))

    def _enter(self, module: str, args: list[Any], about: Mapping[str, Any]) -> None:
        batch = args[0].shape[0] if isinstance(args[0], Value) else 1
        self.contexts[module] = Context(self.release, batch, isinstance(args[1], Value), module in TASKED)
        self.numbers = [(prefix, first) for prefix, first in about["layers"]]
        self.takes = frozenset(about["takes"])

    def _lengthened(self, mask: Value, axes: list[int], module: str, context: Context) -> tuple[int, ...]:
        """A mask with places for a prompt; where its own rows see everything, they see padding too."""
        if context.prompt and context.masked and QUERIES in axes:
            self.note("prompt-sees-padding", module, length=context.prompt)
        return prompt_mask(mask.shape, axes, context)

    def _around(self, module: str) -> str:
        """The path of the innermost context that a module lies in."""
        around = [path for path in self.contexts if not path or module == path or module.startswith(path + ".")]
        return max(around, key=len, default="")

    def _number(self, module: str) -> int:
        """The library's number of the layer that a module lies in; -1 outside."""
        for prefix, first in self.numbers:
            own = module[len(prefix) :].partition(".")[0] if module.startswith(prefix) else ""
            if own.isdecimal():
                return first + int(own)
        return -1

    def _is_left(self, part: Part, number: int) -> bool:
        """Whether a config leaves a layer out."""
        layers = part.config.get("layers", "all") if part.kind == "reft" else "all"
        return number in (part.config.get("leave_out") or ()) or (layers != "all" and number not in layers)

    def _rows(self, value: Any, context: Context, name: str) -> Rows | None:
        """A tensor as rows: one piece, or one for each channel where it has been replicated."""
        if not isinstance(value, Value):
            return None
        count, original = value.shape[0], context.original
        if original and context.parallel and count > original and count % original == 0:
            return Rows(value.shape, tuple((original, term(name, at)) for at in range(count // original)))
        return whole(value.shape, term(name, 0))

    def _layer(self, op: str, here: Mapping[str, Config], about: Mapping[str, Any], given: Given) -> Run:
        if op == "hub.lora":
            x, y = _two(given)
            sizes = (x.shape[-1], y.shape[-1])
            for name in here:
                self.shared.setdefault(name, sizes)
            return lambda setup, rows, context: [
                LoraLayer(here, context, sizes, self.shared).forward(setup, *_two(rows))
            ]
        if op == "hub.merged_lora":
            return lambda setup, rows, context: [merged_forward(setup, here, _two(rows)[1])]
        if op == "hub.bottleneck":
            place = Place(bool(about["norm"]), bool(about["hooked"]), self._fusions_at(str(about["location"])))
            return lambda setup, rows, context: [_bottleneck(BottleneckLayer(here, context, place), setup, rows)]
        if op == "hub.prefix":
            heads, width = self.pool
            keys = given[0]
            if keys is None:
                raise Raised("AttributeError", "'NoneType' object has no attribute 'size'")
            sizes = (heads or keys.shape[1], width or keys.shape[-1])
            hides = bool(about["invert"])
            return lambda setup, rows, context: _prefix(PrefixLayer(here, context, *sizes, hides), setup, rows)
        plain = {"hub.reft": reft, "hub.prompt": prompt}
        if op in plain:
            return lambda setup, rows, context: [plain[op](setup, here, context, _one(rows))]
        return lambda setup, rows, context: [invertible(setup, here, _one(rows))]

    def _fusions_at(self, location: str) -> frozenset[str]:
        """Fusion layers stand where all their adapters have one (`add_fusion_layer`)."""
        return frozenset(
            name
            for name in self.fusions
            if all(any(part.config.get(location) for part in self.adapters.get(one, ())) for one in name.split(","))
        )

    def _hold(self, run: Run, given: Given, found: list[Rows], context: Context, module: str, op: str) -> None:
        """Every row against what its own adapters alone would give it."""
        out, batch, channels = found[0], context.batch, self.setup.channels
        for _, held in out.pieces:
            self.at_work |= adapters_in(held)
        total = max(out.number, batch * channels)
        for row in sorted(looked_at(out, batch, total)):
            meant = meant_for(self.setup, row, total)
            alone = Context(self.release, batch, context.masked, context.tasks)
            alone.prompt = context.prompt
            try:
                wanted = run(meant, [_at(rows, row, batch) for rows in given], alone)[0]
            except Raised:
                continue  # alone it raises as well: nothing to hold it against
            if out.at(row % out.number if out.number else 0) != wanted.at(0):
                self.note("rows of another adapter", module, op=op, row=row, meant=str(meant))
                return

    def _masked(self, mask: Any, module: str, about: Mapping[str, Any]) -> None:
        """What the places of a prefix get in the mask: `1 - 1` hides them where a mask holds ones and zeros."""
        if not isinstance(mask, Value):
            return
        hidden = about["invert"] and (mask.kind == "bool" or len(mask.shape) == 2)
        if hidden:
            self.note("prefix-masked-out", module, kind=mask.kind)
        elif not about["invert"] and mask.kind == "float" and mask.bound is None:  # no ones and zeros
            self.note("prefix-raised-by-mask", module, kind=mask.kind)


def _at(rows: Rows | None, row: int, batch: int) -> Rows | None:
    """As the caller's whole batch would be, if each row held what this one does."""
    if rows is None or not rows.number:
        return rows
    return whole((min(batch, rows.number), *rows.shape[1:]), rows.at(row % rows.number))


def _bottleneck(layer: BottleneckLayer, setup: Block, given: Given) -> Rows:
    hidden, residual = _one(given), given[1]
    if not layer.adapters.keys() & setup.names():
        return layer.idle(hidden, residual)
    return layer.forward(setup, hidden, residual)


def _prefix(layer: PrefixLayer, setup: Block, given: Given) -> list[Rows]:
    keys, values = _two(given)
    residual, mask = given[2], given[3] if len(given) > 3 else None
    if residual is None:
        residual = keys
    if not layer.adapters.keys() & setup.names():
        return [rows for rows in (keys, values, mask) if rows is not None]
    found = layer.forward(setup, keys, values, residual, mask)
    return [rows for rows in (found.keys, found.values, found.mask) if rows is not None]


def _one(given: Given) -> Rows:
    if given[0] is None:
        raise Raised("AttributeError", "'NoneType' object has no attribute 'shape'")
    return given[0]


def _two(given: Given) -> tuple[Rows, Rows]:
    one, other = given[:2]
    if one is None or other is None:
        raise Raised("AttributeError", "'NoneType' object has no attribute 'shape'")
    return one, other
