"""Which adapter's copy of a module in `modules_to_save` is at work, step by step and release by release.

Every adapter that saves a module has a copy of it beside the original. Before 0.18 the copies that work are not
always those of the active adapter (peft#1574, peft#2206, peft#2422). Source: utils/other.py, ModulesToSaveWrapper,
_set_trainable and _set_adapter of each release.
"""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.release import Release


class Missing(Exception):
    """set_adapter raises here: the adapter has no copy of this module."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Mixed(NamedTuple):
    """A module that works with another copy than the active adapter's; "" stands for the base's own weights."""

    path: str
    wanted: str
    at_work: str


class Copies:
    """The copies of one module: whose they are, which one is switched on, and whether all are switched off."""

    __slots__ = ("active", "disabled", "foreign", "owners")

    def __init__(self, active: str) -> None:
        self.active = active
        self.disabled = False
        self.owners: set[str] = set()
        self.foreign: set[str] = set()  # adapters that got a copy without asking: it is as the base was

    def at_work(self) -> str:
        """The adapter whose trained copy is used; "" for the original, or a copy that is like it."""
        return self.active if not self.disabled and self.active in self.owners else ""


class SavedCopies:
    """The state of all modules in `modules_to_save` of one model."""

    __slots__ = ("modules", "names", "release")

    def __init__(self, release: Release) -> None:
        self.release = release
        self.modules: dict[str, Copies] = {}
        self.names: dict[str, None] = {}  # the union of the adapters' modules_to_save (model.modules_to_save)

    def add(self, path: str, adapter: str, model_active: str, own: bool) -> None:
        """`_set_trainable` on one module: a new wrapper, or one more copy in an old one."""
        copies = self.modules.get(path)
        if copies is None:
            live = self.release.new_copy_is_live or adapter == model_active
            copies = self.modules[path] = Copies(adapter if live else "")
        (copies.owners if own else copies.foreign).add(adapter)

    def activate(self, adapter: str) -> None:
        """`set_adapter`; raises Missing where the release wants a copy of every module."""
        for path, copies in self.modules.items():
            has = adapter in copies.owners or adapter in copies.foreign
            if not has and self.release.set_needs_every_copy:
                raise Missing(path)
            if has or not self.release.set_disables_others:
                copies.active = adapter
                copies.disabled = copies.disabled and not self.release.set_enables_again
            else:
                copies.disabled = True
                copies.active = "" if self.release.set_clears_others else copies.active

    def enable(self) -> None:
        """Leaving `disable_adapter`: everything is switched on."""
        for copies in self.modules.values():
            copies.disabled = False

    def delete(self, adapter: str, model_active: str) -> None:
        """`delete_adapter`."""
        for copies in self.modules.values():
            copies.owners.discard(adapter)
            copies.foreign.discard(adapter)
            if copies.active == adapter:
                copies.active = model_active if model_active in copies.owners else ""

    def mixed(self, active: str) -> list[Mixed]:
        """Modules that do not work as they do when the active adapter is loaded alone."""
        states = (
            Mixed(path, active if active in copies.owners else "", copies.at_work())
            for path, copies in self.modules.items()
        )
        return [state for state in states if state.wanted != state.at_work]

    def foreign(self, adapters: Iterable[str]) -> list[tuple[str, str]]:
        """(module, adapter) where saving writes a copy that the adapter never asked for."""
        known = set(adapters)
        return [(path, name) for path, copies in self.modules.items() for name in sorted(copies.foreign & known)]
