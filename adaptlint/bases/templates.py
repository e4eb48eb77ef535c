"""Plain JSON with formulas in it, over the integers and settings of a config; what a shipped table is made of.

A template is JSON in which these objects stand for something else (`names` maps a config's dotted names to values):

    {"$": expression}                    the expression's value
    {"$?": condition, "then": t, "else": t}     one of two templates
    {"$case": expression, "of": {json: t}}      the template under the value's JSON text; any other value is not covered
    {"$*": expression, "of": t, "each": 1}      a list of that length; `each` where the index occurs in `t`
    {"$text": [part, ...]}               the parts' values, joined
    {"$pairs": t}                        an object from a list of [key, value]
    {"$=": n}                            the n-th shared template of the table
    {"$-": 0}                            nothing: the entry is left out of the object that it stands in

Expressions are whole numbers, names ("hidden_size", "@0": the outermost list's index) or ["+" | "-" | "*" | "//" |
"/" | "%" | "int" | "at", operand, ...]. Conditions are ["is", expression, constant], ["null", e], ["no", e] (null, 0,
false or empty), ["<" | "=" | "%", e, e] ("%": divides), ["in", e, name of a list], ["not", c], ["and", c, ...].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import truediv

from adaptlint.hints import Any

Names = dict[str, Any]
NOTHING = object()
NESTED = frozenset({list, dict})
MAX_LENGTH = 2048
"""No list of a table is longer: `refuse_absurd` has looked at the counts, and a build has a limit of modules."""


class NotCovered(Exception):
    """The table does not speak of this config; the text says why."""


def evaluate(expression: Any, names: Names) -> Any:
    """The value of an expression. NotCovered for a name that the config lacks or a value that is no number."""
    if type(expression) in (int, float):
        return expression
    if type(expression) is str:
        try:
            return names[expression]
        except KeyError:
            raise NotCovered(expression) from None
    try:
        return OPERATIONS[expression[0]](*[evaluate(part, names) for part in expression[1:]])
    except (TypeError, ZeroDivisionError, IndexError, OverflowError):
        raise NotCovered(str(expression)) from None


def holds(condition: Sequence[Any], names: Names) -> bool:
    """Whether a condition holds. NotCovered as `evaluate`."""
    kind = condition[0]
    if kind == "not":
        return not holds(condition[1], names)
    if kind == "and":
        return all(holds(part, names) for part in condition[1:])
    value = evaluate(condition[1], names)
    if kind == "is":
        return type(value) is type(condition[2]) and bool(value == condition[2])
    if kind == "null":
        return value is None
    if kind == "no":
        return not value
    return COMPARISONS[kind](value, evaluate(condition[2], names))


class Filling:
    """Fills the templates of one table for one config."""

    __slots__ = ("known", "names", "shared")

    def __init__(self, shared: Sequence[Any], names: Mapping[str, Any]) -> None:
        self.shared = shared
        self.names = dict(names)
        self.known: dict[int, Any] = {}

    def fill(self, template: Any, depth: int = 0) -> Any:
        """The JSON that a template stands for, parts of it shared; `depth`: how many lists it stands in."""
        kind = type(template)
        if kind is list:
            return [self.fill(part, depth) if type(part) in NESTED else part for part in template]
        if kind is not dict:
            return template
        mark = next(iter(template), "")
        if mark[:1] == "$":
            return SPECIAL[mark](self, template, depth)
        filled = {name: self.fill(part, depth) if type(part) in NESTED else part for name, part in template.items()}
        return (
            {name: part for name, part in filled.items() if part is not NOTHING}
            if NOTHING in filled.values()
            else filled
        )

    def value(self, template: dict[str, Any], depth: int) -> Any:
        """{"$": expression}"""
        return evaluate(template["$"], self.names)

    def choice(self, template: dict[str, Any], depth: int) -> Any:
        """{"$?": condition, "then": t, "else": t}"""
        return self.fill(template["then" if holds(template["$?"], self.names) else "else"], depth)

    def case(self, template: dict[str, Any], depth: int) -> Any:
        """{"$case": expression, "of": {json: t}}"""
        text = json.dumps(evaluate(template["$case"], self.names))
        if text not in template["of"]:
            raise NotCovered(f"{template['$case']}: {text}")
        return self.fill(template["of"][text], depth)

    def repeat(self, template: dict[str, Any], depth: int) -> list[Any]:
        """{"$*": expression, "of": t, "each": 1}"""
        length = evaluate(template["$*"], self.names)
        if type(length) is not int or not 0 <= length <= MAX_LENGTH:
            raise NotCovered(f"{template['$*']}: {length}")
        if "each" not in template:
            return [self.fill(template["of"], depth + 1)] * length
        filled = []
        for index in range(length):
            self.names[f"@{depth}"] = index
            filled.append(self.fill(template["of"], depth + 1))
        self.names.pop(f"@{depth}", None)
        return filled

    def text(self, template: dict[str, Any], depth: int) -> str:
        """{"$text": [part, ...]}"""
        return "".join([str(self.fill(part, depth)) for part in template["$text"]])

    def pairs(self, template: dict[str, Any], depth: int) -> dict[str, Any]:
        """{"$pairs": t}"""
        return dict(self.fill(template["$pairs"], depth))

    def reference(self, template: dict[str, Any], depth: int) -> Any:
        """{"$=": n}; outside of lists it is filled once."""
        number = template["$="]
        if depth:
            return self.fill(self.shared[number], depth)
        if number not in self.known:
            self.known[number] = self.fill(self.shared[number])
        return self.known[number]

    def nothing(self, template: dict[str, Any], depth: int) -> Any:
        """{"$-": 0}"""
        return NOTHING


def _whole(*values: Any) -> None:
    if any(type(value) is not int for value in values):
        raise TypeError


def _sum(*values: Any) -> Any:
    _whole(*values)
    return sum(values)


def _less(first: Any, second: Any) -> Any:
    _whole(first, second)
    return first - second


def _product(*values: Any) -> Any:
    result: Any = 1
    for value in values:
        if type(value) not in (int, float):
            raise TypeError
        result = result * value
    return result


def _quotient(first: Any, second: Any) -> Any:
    _whole(first, second)
    return first // second


def _remainder(first: Any, second: Any) -> Any:
    _whole(first, second)
    return first % second


def _at(values: Any, index: Any) -> Any:
    if type(values) is not list or index < 0:
        raise TypeError
    return values[index]


def _before(first: Any, second: Any) -> bool:
    return _compared(first, second) and bool(first < second)


def _equal(first: Any, second: Any) -> bool:
    return _compared(first, second) and bool(first == second)


def _divides(first: Any, second: Any) -> bool:
    return _compared(first, second) and second > 0 and first % second == 0


def _within(first: Any, second: Any) -> bool:
    if type(second) is not list:
        raise NotCovered("no list")
    return first in second


def _compared(*values: Any) -> bool:
    if any(type(value) not in (int, float) for value in values):
        raise NotCovered("no number")
    return True


OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": _sum,
    "-": _less,
    "*": _product,
    "//": _quotient,
    "/": truediv,
    "%": _remainder,
    "int": int,
    "at": _at,
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"<": _before, "=": _equal, "%": _divides, "in": _within}
SPECIAL: dict[str, Callable[[Filling, dict[str, Any], int], Any]] = {
    "$": Filling.value,
    "$?": Filling.choice,
    "$case": Filling.case,
    "$*": Filling.repeat,
    "$text": Filling.text,
    "$pairs": Filling.pairs,
    "$=": Filling.reference,
    "$-": Filling.nothing,
}
