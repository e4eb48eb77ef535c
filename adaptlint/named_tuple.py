"""`typing.NamedTuple` for a short process: the same classes, made without compiling anything.

`typing.NamedTuple` makes a ForwardRef, and so compiles an expression, of each annotation that is text, which under
`from __future__ import annotations` is every one (CPython 3.11, typing._make_nmtuple, ForwardRef.__init__), and
`collections.namedtuple` compiles `__new__` for each class. A class of four fields takes two million instructions with
the one, 370 thousand with the other and 100 thousand here; a check makes eighty of them.
"""

from __future__ import annotations

from adaptlint.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter
    from collections import namedtuple
    from types import FunctionType

    _new = tuple.__new__
    _OWN = frozenset({"__annotations__", "__dict__", "__weakref__"})
    # `__new__` by the number of fields; each class has its own, with its fields' names as parameters.
    _MAKERS = (
        lambda _cls: _new(_cls, ()),
        lambda _cls, a: _new(_cls, (a,)),
        lambda _cls, a, b: _new(_cls, (a, b)),
        lambda _cls, a, b, c: _new(_cls, (a, b, c)),
        lambda _cls, a, b, c, d: _new(_cls, (a, b, c, d)),
        lambda _cls, a, b, c, d, e: _new(_cls, (a, b, c, d, e)),
        lambda _cls, a, b, c, d, e, f: _new(_cls, (a, b, c, d, e, f)),
        lambda _cls, a, b, c, d, e, f, g: _new(_cls, (a, b, c, d, e, f, g)),
        lambda _cls, a, b, c, d, e, f, g, h: _new(_cls, (a, b, c, d, e, f, g, h)),
        lambda _cls, a, b, c, d, e, f, g, h, i: _new(_cls, (a, b, c, d, e, f, g, h, i)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j: _new(_cls, (a, b, c, d, e, f, g, h, i, j)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m)),
    )

    class _Row(tuple):
        """What every class of rows can do."""

        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, values):
            made = _new(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {[*changes]!r}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    class _Fields(type):
        """Makes the tuple class of a class body: its annotations are the fields, its values their defaults."""

        def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            own = {key: value for key, value in body.items() if key not in defaults and key not in _OWN}
            if fields[len(fields) - len(defaults) :] != tuple(defaults):
                raise TypeError(f"{name}: a field without a default follows one with a default")
            if len(fields) >= len(_MAKERS):
                made = namedtuple(name, fields, defaults=defaults.values())
                for key, value in own.items():
                    setattr(made, key, value)
                made.__annotations__ = dict(body["__annotations__"])
                return made
            maker = _MAKERS[len(fields)].__code__.replace(co_varnames=("_cls", *fields), co_name="__new__")
            getters = {field: _tuplegetter(at, field) for at, field in enumerate(fields)}
            about = {
                "__slots__": (),
                "__annotations__": body.get("__annotations__", {}),
                "__new__": FunctionType(maker, globals(), "__new__", tuple(defaults.values())),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
            }
            return type(name, (_Row,), {**about, **getters, **own})

    class NamedTuple(metaclass=_Fields):
        """The base class of rows: immutable, compared by what they hold."""
