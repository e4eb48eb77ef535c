"""The one file that builds a model: the class's own modules on the meta device, no weights, no network, no remote code.

Facts about a base come from running transformers itself; nothing here is imported before a build is due.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from adaptlint.bases.answers import record_model
from adaptlint.bases.base import BaseProblem
from adaptlint.bases.classes import choose
from adaptlint.bases.libraries import Libraries
from adaptlint.bases.wanted import buildable, note_storage, refuse_absurd
from adaptlint.hints import Any

MAX_MODULES = 150_000
MAX_SECONDS = 120.0
"""A build that passes either is given up; an unfused DeepSeek V3 has 75,000 modules."""


class _LimitError(Exception):
    """Raised inside a build that has passed its limits."""


def build_record(config: dict[str, Any], asked: str | None) -> dict[str, Any] | BaseProblem:
    """Build the class that `asked` or the config names and record it (see record.py)."""
    problem = refuse_absurd(config)
    if problem:
        return problem
    try:
        with silence():
            libraries = import_libraries()
            choice = choose(libraries, buildable(config), config, asked)
            if isinstance(choice, BaseProblem):
                return choice
            with _limits(libraries.torch), libraries.torch.device("meta"):
                model = choice.model_class._from_config(choice.config)
            record = record_model(libraries, model, choice)
    except _LimitError as limit:
        return BaseProblem("base-too-large", {"field": "modules", "value": str(limit), "limit": MAX_MODULES})
    except Exception as error:  # transformers raises whatever a config's values provoke
        message = " ".join(str(error).split())[:500] or type(error).__name__
        return BaseProblem("base-build-failed", {"type": type(error).__name__, "message": message})
    note_storage(record, config)
    return record


def import_libraries() -> Libraries:
    """torch and the parts of transformers that a build needs. Raises ImportError."""
    import torch
    import transformers
    from transformers.models.auto import configuration_auto, modeling_auto
    from transformers.pytorch_utils import Conv1D

    try:
        from transformers import conversion_mapping
    except ImportError:  # releases before 5 convert no checkpoints
        conversion_mapping = None
    return Libraries(torch, transformers, configuration_auto.CONFIG_MAPPING, modeling_auto, Conv1D, conversion_mapping)


@contextlib.contextmanager
def _limits(torch: Any) -> Iterator[None]:
    """Give a build up once it has registered too many modules or taken too long."""
    seen = 0
    deadline = time.monotonic() + MAX_SECONDS

    def count(module: Any, name: str, submodule: Any) -> None:
        nonlocal seen
        seen += 1
        if seen > MAX_MODULES or time.monotonic() > deadline:
            raise _LimitError(f"more than {seen - 1}")

    hook = torch.nn.modules.module.register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No log lines, warnings or downloads while transformers works; the process's own settings are put back."""
    import logging
    import os
    import warnings

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _offline():
                yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """A config can name a backbone to download; huggingface_hub then refuses."""
    import huggingface_hub.constants as constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
