"""`typing.NamedTuple` for a short process: the same classes, made without compiling every annotation's text.

`typing.NamedTuple` makes a ForwardRef, and so compiles an expression, of each annotation that is text, which under
`from __future__ import annotations` is every one (CPython 3.11, typing._make_nmtuple, ForwardRef.__init__): a class of
four fields takes two million instructions, five times what collections.namedtuple takes. A check makes sixty of them.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    _OWN = frozenset({"__annotations__", "__classcell__", "__dict__", "__module__", "__qualname__", "__weakref__"})

    class _Fields(type):
        """Makes the tuple class of a class body: its annotations are the fields, its values their defaults."""

        def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = body.get("__annotations__", {})
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            made.__annotations__ = made.__new__.__annotations__ = dict(fields)
            made.__qualname__ = body["__qualname__"]
            for key, value in body.items():
                if key not in fields and key not in _OWN:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Fields):
        """The base class of rows: immutable, compared by what they hold."""
