"""A torch pickle read without being executed: only names, shapes and storage references come out.

It walks the opcodes that torch 2.13's weights-only unpickler takes, in that unpickler's order of checks, with
symbols where torch would make tensors. No name in the file is ever looked up, imported or called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from adaptlint.artefacts.torch_archive import CheckpointError
from adaptlint.artefacts.torch_globals import refused_global, translated
from adaptlint.artefacts.torch_symbols import Global, Ordered, Storage, Tensor, Thing, beyond, called, put
from adaptlint.artefacts.words import LIMITS
from adaptlint.hints import Any, Protocol

four_bytes = struct.Struct("<I").unpack
signed_bytes = struct.Struct("<i").unpack
two_bytes = struct.Struct("<H").unpack


class Stream(Protocol):
    """What the opcodes are read from."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer at the end."""
        ...

    def readline(self, /) -> bytes:
        """Bytes up to and with the next newline."""
        ...


class Pickle:
    """One pickle; `load` gives its value or raises `CheckpointError`, or what Python itself raises in torch's loop."""

    def __init__(self, stream: Stream, find_storage: Callable[[tuple[Any, ...]], Storage] | None) -> None:
        """`find_storage` makes a `Storage` of a persistent id; None where torch expects none."""
        self.read, self.readline, self.find_storage = stream.read, stream.readline, find_storage
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.globals: dict[tuple[bytes, bytes], Global] = {}  # torch writes the same few names for every tensor

    def load(self) -> Any:
        """The value at STOP."""
        read, actions, memo = self.read, ACTIONS, self.memo
        for _ in range(LIMITS.pickle_steps):
            opcode = read(1)
            if opcode == b"q":  # every third opcode of a checkpoint is one of these two
                memo[read(1)[0]] = self.stack[-1]
            elif opcode == b"r":
                memo[four_bytes(read(4))[0]] = self.stack[-1]
            elif opcode in actions:
                actions[opcode](self)
            elif opcode == b".":
                return self.stack.pop()
            elif not opcode:
                raise EOFError
            else:
                raise CheckpointError("pickle-broken", "UnpicklingError", f"Unsupported operand {opcode[0]}")
        raise CheckpointError("pickle-too-long", None, limit=LIMITS.pickle_steps)

    def pop_mark(self) -> list[Any]:
        """What lies above the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items


def refuse(message: str) -> CheckpointError:
    """A pickle that torch's unpickler refuses."""
    return CheckpointError("pickle-broken", "UnpicklingError", message)


def push_global(p: Pickle) -> None:
    """GLOBAL: the only way to a name; the first that torch does not take ends the load."""
    lines = (p.readline(), p.readline())
    known = p.globals.get(lines)
    if known is None:
        module, name = translated(lines[0][:-1].decode("utf-8"), lines[1][:-1].decode("utf-8"))
        refusal = refused_global(module, name)
        if refusal:
            path = f"{module}.{name}"[:200]
            raise CheckpointError("pickle-dangerous-global", "UnpicklingError", refusal, name=path)
        known = p.globals[lines] = Global(f"{module}.{name}")
    p.stack.append(known)


def reduce(p: Pickle) -> None:
    """REDUCE: a call, told by what it would make."""
    args, function = p.stack.pop(), p.stack[-1]
    if not isinstance(function, Global):
        raise refuse("Trying to call reduce for unrecognized function")
    p.stack[-1] = called(function.path, args)


def new_object(p: Pickle) -> None:
    """NEWOBJ: `cls.__new__(cls, *args)`."""
    args, cls = p.stack.pop(), p.stack.pop()
    if not isinstance(cls, Global):
        raise refuse("Can only create new object for nn.Parameter or classes allowlisted")
    p.stack.append(called(cls.path, args))


def build(p: Pickle) -> None:
    """BUILD: state for an object; it changes no shape."""
    p.stack.pop()
    if isinstance(p.stack[-1], (Tensor, Thing)):
        raise beyond("BUILD of something else than a dict")
    if not isinstance(p.stack[-1], (Ordered, set)):
        raise refuse("Can only build Tensor, Parameter, OrderedDict or types allowlisted")


def set_items(p: Pickle, name: str, items: list[Any]) -> None:
    """SETITEM and SETITEMS."""
    if not isinstance(p.stack[-1], dict):
        raise refuse(f"Can only {name} for dict, collections.OrderedDict, collections.Counter, but got")
    for i in range(0, len(items), 2):
        put(p.stack[-1], items[i], items[i + 1])


def set_item(p: Pickle) -> None:
    """SETITEM."""
    value, key = p.stack.pop(), p.stack.pop()
    set_items(p, "SETITEM", [key, value])


def append(p: Pickle, items: list[Any], verb: str) -> None:
    """APPEND and APPENDS."""
    if type(p.stack[-1]) is not list:
        raise refuse(f"Can only {verb}")
    p.stack[-1].extend(items)


def push_storage(p: Pickle) -> None:
    """BINPERSID: torch allows it for storages only."""
    pid = p.stack.pop()
    if type(pid) not in (tuple, int):
        raise refuse("persistent_load id must be tuple or int, but got")
    if type(pid) is tuple and pid and pid[0] != "storage" and ascii_text(pid[0]) != "storage":
        raise refuse("Only persistent_load of storage is allowed, but got")
    if p.find_storage is None:
        raise refuse("unsupported persistent id encountered")
    if type(pid) is not tuple:
        raise CheckpointError("pickle-broken", "AssertionError", "saved_id must be a tuple, got int")
    p.stack.append(p.find_storage(pid))


def ascii_text(value: object) -> object:
    """Text that Python 2 may have saved as bytes."""
    return value.decode("ascii") if isinstance(value, bytes) else value


def push_text(p: Pickle) -> None:
    """BINUNICODE."""
    p.stack.append(str(p.read(four_bytes(p.read(4))[0]), "utf-8", "surrogatepass"))


def mark(p: Pickle) -> None:
    """MARK."""
    p.marks.append(p.stack)
    p.stack = []


def push_tuple(p: Pickle) -> None:
    """TUPLE. What lies above the mark is taken first, because that changes which stack is pushed to."""
    items = tuple(p.stack)
    p.stack = p.marks.pop()
    p.stack.append(items)


def short_tuple(p: Pickle, size: int) -> None:
    """TUPLE1, TUPLE2 and TUPLE3."""
    if size > len(p.stack):
        raise IndexError("list index out of range")
    p.stack[-size:] = [tuple(p.stack[-size:])]


def protocol(p: Pickle) -> None:
    """PROTO: torch warns about any but 2 and reads on."""
    _ = p.read(1)[0]


def push_signed(p: Pickle) -> None:
    """BININT."""
    p.stack.append(signed_bytes(p.read(4))[0])


def push_byte(p: Pickle) -> None:
    """BININT1."""
    p.stack.append(p.read(1)[0])


def push_remembered(p: Pickle) -> None:
    """BINGET."""
    p.stack.append(p.memo[p.read(1)[0]])


def push_false(p: Pickle) -> None:
    """NEWFALSE."""
    p.stack.append(False)


def push_nothing(p: Pickle) -> None:
    """EMPTY_TUPLE."""
    p.stack.append(())


def pusher(make: Callable[[Pickle], Any]) -> Callable[[Pickle], None]:
    """An action that pushes what `make` gives; those that come with every tensor have a function of their own."""
    return lambda p: p.stack.append(make(p))


ACTIONS: dict[bytes, Callable[[Pickle], None]] = {
    b"\x80": protocol,
    b"c": push_global,
    b"R": reduce,
    b"\x81": new_object,
    b"b": build,
    b"a": lambda p: append(p, [p.stack.pop()], "append to lists"),
    b"e": lambda p: append(p, p.pop_mark(), "extend lists"),
    b"s": set_item,
    b"u": lambda p: set_items(p, "SETITEMS", p.pop_mark()),
    b"(": mark,
    b"t": push_tuple,
    b"\x85": lambda p: short_tuple(p, 1),
    b"\x86": lambda p: short_tuple(p, 2),
    b"\x87": lambda p: short_tuple(p, 3),
    b"N": pusher(lambda _: None),
    b"\x89": push_false,
    b"\x88": pusher(lambda _: True),
    b")": push_nothing,
    b"]": pusher(lambda _: []),
    b"}": pusher(lambda _: {}),
    b"\x8f": pusher(lambda _: set()),
    b"J": push_signed,
    b"K": push_byte,
    b"M": pusher(lambda p: two_bytes(p.read(2))[0]),
    b"G": pusher(lambda p: struct.unpack(">d", p.read(8))[0]),
    b"X": push_text,
    b"U": pusher(lambda p: p.read(p.read(1)[0]).decode("utf-8")),
    b"Q": push_storage,
    b"h": push_remembered,
    b"j": pusher(lambda p: p.memo[four_bytes(p.read(4))[0]]),
    b"\x8a": pusher(lambda p: int.from_bytes(p.read(p.read(1)[0]), "little", signed=True)),
}
