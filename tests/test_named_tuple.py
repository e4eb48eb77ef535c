"""Our NamedTuple makes what typing's makes."""

from __future__ import annotations

import inspect
import pickle
import re
import typing

import pytest

from adaptlint.named_tuple import NamedTuple
from tests.conftest import ROOT


class Ours(NamedTuple):
    """A size and who said it."""

    size: int
    unit: str = "rows"  # what it counts
    sources: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.size} {self.unit}"

    @classmethod
    def nothing(cls) -> Ours:
        return cls(0)


class Theirs(typing.NamedTuple):
    """A size and who said it."""

    size: int
    unit: str = "rows"
    sources: tuple[str, ...] = ()


def test_rows_are_made_compared_and_shown_as_those_of_typing() -> None:
    ours, theirs = Ours(3, sources=("config",)), Theirs(3, sources=("config",))
    assert ours == theirs
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._replace(size=4) == theirs._replace(size=4)
    assert (Ours._fields, Ours._field_defaults) == (Theirs._fields, Theirs._field_defaults)
    assert list(inspect.signature(Ours).parameters) == list(inspect.signature(Theirs).parameters)
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)
    assert (Ours.__doc__, Ours.__module__, Ours.__qualname__) == (Theirs.__doc__, __name__, "Ours")
    assert (ours.text, Ours.nothing()) == ("3 rows", Ours(0))
    assert pickle.loads(pickle.dumps(ours)) == ours  # noqa: S301


@pytest.mark.parametrize("arguments", [(), (1, "x", (), "more")])
def test_rows_of_another_length_are_refused_as_by_typing(arguments: tuple[typing.Any, ...]) -> None:
    for made in (Ours, Theirs):
        with pytest.raises(TypeError):
            made(*arguments)


def test_rows_are_made_by_ours_everywhere() -> None:
    package = ROOT / "adaptlint"
    worker = package / "replay" / "worker"  # runs in other interpreters, where there is nothing of ours
    files = [path for path in package.rglob("*.py") if path.name != "named_tuple.py" and worker not in path.parents]
    slow = [path.name for path in files if re.search(r"from typing import .*NamedTuple", path.read_text())]
    assert slow == []
