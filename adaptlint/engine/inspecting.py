"""One adapter on one base, module by module."""

from __future__ import annotations

import os

from adaptlint.engine.checking import base_for, named_adapters
from adaptlint.graph import Adapter, Scene
from adaptlint.hints import TYPE_CHECKING
from adaptlint.runtimes import Request

if TYPE_CHECKING:
    from adaptlint.artefacts import Folder
    from adaptlint.graph.portrait import Portrait
    from adaptlint.runtimes.peft.sites import Sites


def portrait_of(folder: Folder) -> Portrait | None:
    """What the folder holds, be it PEFT's or AdapterHub's; None where it holds neither's."""
    from adaptlint.graph.portrait import portrait
    from adaptlint.runtimes.adapters.hub_portrait import hub_portrait

    return hub_portrait(folder) or portrait(folder)


def inspect_on(model: str, adapter: str, *, values: str = "none", offline: bool = True, cache: bool = True) -> Sites:
    """What PEFT makes of the adapter at each module of this base; `values` is none, sample or full."""
    from adaptlint.runtimes.peft.sites import sites_of

    given = tuple(Adapter(name, path) for name, path in named_adapters(adapter))
    base = base_for(os.fspath(model), None, None, given, offline, cache)
    return sites_of(Scene(model, base, given, values), None, Request("peft"))
