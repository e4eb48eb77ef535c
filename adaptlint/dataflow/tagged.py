"""Sizes that remember where they came from: integers that carry a term (see flow_graph.py)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from adaptlint.dataflow.shims import put
from adaptlint.hints import Any

Guarded = Callable[[Any, str, Any, bool], None]
LABELS = ("id2label", "label2id")
REFUSING = (
    "torch._",
    "torch.nn.functional",
    "torch.nn.modules.sparse",
    "torch.nn.modules.dropout",
    "torch.nn.modules.conv",
)
"""Comparisons of torch 2.13's own here, as of the padding's index with a table's length, only refuse what cannot be."""


class TaggedInt(int):
    """An int with the term that gives it; arithmetic keeps the term, a comparison is told to `listener`.

    torch takes it wherever it takes an int. With a float the term is lost, on purpose.
    """

    term: Any
    listener: Guarded

    def __new__(cls, value: int, term: Any, listener: Guarded) -> TaggedInt:
        """`listener` is called with (left term, operator, right term, outcome)."""
        self = super().__new__(cls, value)
        self.term, self.listener = term, listener
        return self

    def __deepcopy__(self, memo: Any) -> TaggedInt:
        return self

    def __reduce__(self) -> Any:
        return int, (int(self),)

    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        truth = int(self) != 0
        self.listener(self.term, "!=", 0, truth)
        return truth

    def __neg__(self) -> TaggedInt:
        return TaggedInt(-int(self), ["-", 0, self.term], self.listener)


class TaggedFloat(float):
    """What a tagged integer of a config is made into on the way to another: its half, a share of it."""

    term: Any
    listener: Guarded

    def __new__(cls, value: float, term: Any, listener: Guarded) -> TaggedFloat:
        """As TaggedInt has it."""
        self = super().__new__(cls, value)
        self.term, self.listener = term, listener
        return self

    def __deepcopy__(self, memo: Any) -> TaggedFloat:
        return self

    def __reduce__(self) -> Any:
        return float, (float(self),)

    __hash__ = float.__hash__

    def __bool__(self) -> bool:
        truth = float(self) != 0
        self.listener(self.term, "!=", 0, truth)
        return truth

    def __mul__(self, other: Any) -> Any:
        found = float.__mul__(self, other)
        if found is NotImplemented or sized(getattr(other, "term", 0)):
            return found
        return TaggedFloat(found, ["*", self.term, term_of(other)], self.listener)

    __rmul__ = __mul__

    def whole(self) -> int:
        """`int()` of it, tagged where templates can say so."""
        if self.term[0] == "/":
            return TaggedInt(int(float(self)), ["//", *self.term[1:]], self.listener)
        return TaggedInt(int(float(self)), ["int", self.term], self.listener)

    def __ceil__(self) -> int:
        if self.term[0] != "/":
            return math.ceil(float(self))
        floor = ["//", ["-", 0, self.term[1]], self.term[2]]
        return TaggedInt(math.ceil(float(self)), ["-", 0, floor], self.listener)


class _AnyInt(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, int)


class ConfigTags:
    """Numbers of a config, tagged with their dotted names, so that what was made of them tells from what.

    `held` are the comparisons of nothing but such numbers, each with its outcome; those with a size of a tensor are
    told to `forward`, the listener of the forward that runs. `made` are the terms of integers that were floats before,
    or that ranges were made of.
    """

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.held: list[tuple[Any, str, Any, bool]] = []
        self.forward: Guarded | None = None

    def put_into(self, config: Any) -> None:
        """Tag the numbers of a config object in place."""
        for name, value in vars(config).items():
            if not name.startswith("_") and name not in LABELS:
                vars(config)[name] = self._tagged(name, value)

    def _tagged(self, name: str, value: Any) -> Any:
        if type(value) in (int, float):
            tagged = TaggedInt if type(value) is int else TaggedFloat
            return tagged(value, ["config", name], self.compared)
        if type(value) is dict:
            return {key: self._tagged(f"{name}.{key}", part) for key, part in value.items()}
        if type(value) in (list, tuple):
            one = len(value) > 1 and all(type(part) is int and part == value[0] for part in value)
            return type(value)(self._tagged(f"{name}.{0 if one else at}", part) for at, part in enumerate(value))
        return value

    @contextmanager
    def kept_in(self, model_class: type) -> Iterator[None]:
        """Tags outlive `int()` in the file of a class and where rotary embeddings are made.

        A loop of the forward that goes round so many times asks for that very number.
        """
        names = (model_class.__module__, "transformers.modeling_rope_utils")
        with ExitStack() as stack:
            if model_class.__module__ in sys.modules:
                stack.enter_context(put(sys.modules[model_class.__module__], "range", self._range))
            for name in names:
                if name in sys.modules:
                    stack.enter_context(put(sys.modules[name], "int", self._int()))
            stack.enter_context(put(sys.modules["torch"], "arange", self._arange(sys.modules["torch"].arange)))
            yield

    def _range(self, *ends: Any) -> range:
        """In the place of `range` in a file."""
        for end in ends if self.forward is not None else ():
            if isinstance(end, TaggedInt) and not sized(end.term):
                self.compared(end.term, "==", int(end), True)
        return range(*ends)

    def _arange(self, real: Any) -> Any:
        """The real one; what it is given are sizes of constants."""

        def arange(*args: Any, **kwargs: Any) -> Any:
            self.made.extend(one.term for one in args if isinstance(one, TaggedInt) and not sized(one.term))
            return real(*args, **kwargs)

        return arange

    def _int(self) -> type:
        """In the place of `int` in a file: a tagged number stays tagged."""
        made = self.made

        class Whole(metaclass=_AnyInt):
            def __new__(cls, value: Any = 0, *base: Any) -> Any:
                if not isinstance(value, TaggedFloat):
                    return value if isinstance(value, TaggedInt) else int(value, *base)
                found = value.whole()
                made.append(term_of(found))
                return found

        return Whole

    def compared(self, left: Any, op: str, right: Any, held: bool) -> None:
        """A comparison that Python made."""
        if sized(left) or sized(right):
            if self.forward is not None:
                self.forward(left, op, right, held)
            return
        frame = sys._getframe(2)
        if not frame.f_globals.get("__name__", "").startswith(REFUSING):
            self.note((left, op, right, held), frame.f_locals)

    def note(self, comparison: tuple[Any, str, Any, bool], seen: Mapping[str, Any]) -> None:
        """Keep a comparison; `seen` has what stood beside it where it was made."""
        self.held.append(comparison)


def sized(term: Any) -> bool:
    """Whether a term has a size of a tensor in it."""
    if not isinstance(term, list) or term[0] == "config":
        return False
    return term[0] == "size" or any(map(sized, term[1:]))


def term_of(value: Any) -> Any:
    """The term of a size; of a plain number itself."""
    if isinstance(value, TaggedInt | TaggedFloat):
        return value.term
    return float(value) if isinstance(value, float) else int(value)


def _arithmetic(name: str, symbol: str, swapped: bool) -> Any:
    plain = getattr(int, name)

    def operate(self: TaggedInt, other: Any) -> Any:
        if symbol == "*" and type(other) is float and not sized(self.term):
            return TaggedFloat(int(self) * other, [symbol, self.term, other], self.listener)
        found = plain(self, other)
        if found is NotImplemented or not isinstance(other, int) or isinstance(other, bool):
            return found
        left, right = (other, self) if swapped else (self, other)
        return TaggedInt(found, [symbol, term_of(left), term_of(right)], self.listener)

    return operate


def _divided(self: TaggedInt, other: Any) -> Any:
    found = int.__truediv__(self, other)
    if found is NotImplemented or sized(self.term) or sized(getattr(other, "term", 0)) or isinstance(other, bool):
        return found
    return TaggedFloat(found, ["/", self.term, term_of(other)], self.listener)


def _comparison(kind: type, name: str, symbol: str) -> Any:
    plain, known = getattr(kind, name), int if kind is int else (int, float)

    def compare(self: Any, other: Any) -> Any:
        found = plain(self, other)
        if found is not NotImplemented and isinstance(other, known) and not isinstance(other, bool):
            self.listener(self.term, symbol, term_of(other), bool(found))
        return found

    return compare


for _name, _symbol in (("add", "+"), ("sub", "-"), ("mul", "*"), ("floordiv", "//"), ("mod", "%")):
    setattr(TaggedInt, f"__{_name}__", _arithmetic(f"__{_name}__", _symbol, swapped=False))
    setattr(TaggedInt, f"__r{_name}__", _arithmetic(f"__r{_name}__", _symbol, swapped=True))
for _name, _symbol in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    setattr(TaggedInt, f"__{_name}__", _comparison(int, f"__{_name}__", _symbol))
    setattr(TaggedFloat, f"__{_name}__", _comparison(float, f"__{_name}__", _symbol))
TaggedInt.__truediv__ = _divided  # type: ignore[method-assign,assignment]
