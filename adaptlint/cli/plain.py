"""Command lines without mistakes, read without click; and the table of options that both read."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

BACKENDS = ("eager", "sdpa", "flash_attention_2", "flex_attention")


class Option(NamedTuple):
    """One option. `kind`: "value" (given once), "number" (from 1 on), "many" (repeatable) or "flag".

    `field` is its name in Python.
    """

    name: str
    help: str
    kind: str = "value"
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None
    field: str = ""

    @property
    def key(self) -> str:
        """The name in the dict of parsed options."""
        return self.field or self.name[2:].replace("-", "_")

    def initial(self) -> Any:
        """The value of an option that is not given."""
        return {"many": (), "flag": False}.get(self.kind, self.default)


def parse(arguments: Sequence[str], options: Sequence[Option], *, least: int = 1) -> dict[str, Any] | None:
    """`MODEL ADAPTER... [OPTIONS]` as click would hand it over; None for whatever is not plainly right.

    `least` is the number of adapters that there have to be.

    None is no verdict: click then reads the line again, and does the telling if something is wrong with it.
    """
    known = {option.name: option for option in options}
    parsed: dict[str, Any] = {option.key: option.initial() for option in options}
    plain: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument[:1] != "-":
            plain.append(argument)
            continue
        name, equals, value = argument.partition("=")
        option = known.get(name)
        if option is None or (option.kind == "flag") > (not equals):
            return None
        if option.kind == "flag":
            parsed[option.key] = True
            continue
        value = value if equals else next(rest, "-")
        if value[:1] in ("", "-") or (option.choices and value not in option.choices):
            return None
        if option.kind == "number" and not _is_number(value):
            return None
        told = int(value) if option.kind == "number" else value
        parsed[option.key] = (*parsed[option.key], value) if option.kind == "many" else told
    if "" in plain or len(plain) <= least:
        return None
    return {"model": plain[0], "adapters": tuple(plain[1:]), **parsed}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text[0] != "0" and len(text) < 13
