"""Which base an adapter is held against, where nobody stands by to say so."""

from __future__ import annotations

import os

from adaptlint.graph import Adapter
from adaptlint.named_tuple import NamedTuple
from adaptlint.settings import Settings
from adaptlint.settings.globs import covers, inside

NAMED_IN = ("base_model_name_or_path", "model_name")
"""PEFT's field, and that of AdapterHub's library."""


class BaseChoice(NamedTuple):
    """A base and who named it; `certain` where the user did, so that a base that is missing is an error."""

    ref: str
    named_by: str
    certain: bool


def choose_base(folder: str, settings: Settings, given: str | None = None) -> BaseChoice:
    """The base `given` on the command line, else the configuration's for this folder, else what the adapter names.

    A path in the configuration counts from its file, one in the adapter from the current folder, as PEFT has it.
    `ref` is "" where nobody names one.
    """
    if given:
        return BaseChoice(given, "--base", True)
    path = inside(settings.root, folder)
    for pattern, ref in settings.get("bases").items():
        if covers(pattern, path):
            local = settings.local(os.path.expanduser(ref))
            return BaseChoice(local if os.path.exists(local) else ref, f'bases."{pattern}"', True)
    said = Adapter("default", folder).given
    for field in NAMED_IN:
        ref = said.get(field)
        if isinstance(ref, str) and ref and "\0" not in ref:
            return BaseChoice(ref, field, False)
    return BaseChoice("", "nobody", False)
