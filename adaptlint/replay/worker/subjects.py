"""A model with its adapter as the invariants see it: the same few questions of PEFT and of AdapterHub's library."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from .bases import Bases
from .models import SEEDS, inputs_of, placed
from .rounding import SHARE, TIMES, moved
from .tolerances import close, tolerance_of

Job = dict[str, Any]
OTHER = "other"  # the name of a second adapter, made of the first
FACTOR = -0.6  # what its numbers are multiplied by


REFUSALS = ("adapter_names", "mixed adapter batches", "Mixed batching")  # PEFT's own words for what it does not take


class Unsupported(Exception):
    """The library or the method has no such thing; the invariant is passed over."""


class PeftSubject:
    """Adapters of PEFT; `folder` holds the first one of the job."""

    def __init__(self, job: Job, place: str, bases: Bases) -> None:
        """`place` is a folder for what is saved meanwhile."""
        self.job, self.place, self.bases = job, place, bases
        self.name, self.folder = job["adapters"][0]["name"], job["adapters"][0]["folder"]
        self.tolerance = tolerance_of(job)

    def base(self, attn: str | None = None, own: bool = False) -> Any:
        """The base without anything; the same weights every time, its own to write to if asked for."""
        return self.bases.base(attn, own)

    def agree(self, one: Any, other: Any) -> bool:
        """Whether two outputs are equal within the bound; widened where rounding alone moves this model further.

        Raises Unsupported where rounding moves it so far that nothing can be told.
        """
        if close(one, other, self.tolerance):
            return True
        if self.bases.rounding is None:
            model = self.wrapped()
            self.bases.rounding = moved(model, self.given(model))
        far, size = self.bases.rounding
        self.tolerance = {**self.tolerance, "atol": max(self.tolerance["atol"], TIMES * far)}
        equal = close(one, other, self.tolerance)
        if equal and TIMES * far > SHARE * size:
            raise Unsupported(f"rounding alone moves its output by {far:.2g}")
        return equal

    def wrapped(self, attn: str | None = None, own: bool = False) -> Any:
        """The base with the adapter, active."""
        return self.loaded([(self.name, self.folder)], attn, own)

    def loaded(self, adapters: list[tuple[str, str]], attn: str | None = None, own: bool = False) -> Any:
        """The base with these adapters, loaded in order, the first active."""
        import peft
        import torch

        torch.manual_seed(SEEDS["adapter"])
        (name, folder), *others = adapters
        model = peft.PeftModel.from_pretrained(self.base(attn, own), folder, adapter_name=name)
        for name, folder in others:
            model.load_adapter(folder, adapter_name=name)
        return model.eval()

    def given(self, model: Any) -> dict[str, Any]:
        """Ordinary inputs."""
        return inputs_of(model.get_base_model() if hasattr(model, "get_base_model") else model, self.job)

    @contextlib.contextmanager
    def off(self, model: Any) -> Iterator[None]:
        """No adapter is active."""
        with model.disable_adapter():
            yield

    def activate(self, model: Any, name: str) -> None:
        """Make one adapter the active one."""
        model.set_adapter(name)

    def delete(self, model: Any, name: str) -> None:
        """Remove one adapter."""
        model.delete_adapter(name)

    def save(self, model: Any, name: str) -> str:
        """Save one adapter; the folder."""
        folder = os.path.join(self.place, f"saved-{len(os.listdir(self.place))}")
        model.save_pretrained(folder, selected_adapters=[name])
        inner = os.path.join(folder, name)
        return inner if os.path.isdir(inner) else folder

    def merged(self, model: Any) -> Any:
        """The base with the adapter's update in its weights."""
        if not hasattr(model, "merge_and_unload"):
            raise Unsupported("the method cannot be merged")
        try:
            return model.merge_and_unload()
        except (NotImplementedError, AttributeError) as problem:
            raise Unsupported(f"the method cannot be merged: {problem}") from problem

    def tensors(self, model: Any, name: str) -> dict[str, Any]:
        """What `save_pretrained` would write of one adapter."""
        from peft import get_peft_model_state_dict

        return dict(get_peft_model_state_dict(model, adapter_name=name))

    def trainable(self, model: Any, name: str) -> dict[str, Any]:
        """The adapter's parameters, those that its own library trains."""
        from .peft_loads import belongs

        before = {key for key, value in model.named_parameters() if belongs(key, name)}
        model.set_adapter(name)
        chosen = {key: value for key, value in model.named_parameters() if key in before and trains(key, value)}
        for value in chosen.values():
            value.requires_grad_(True)
        return chosen

    def other(self) -> str:
        """A second adapter, whose numbers are others."""
        return varied(self, self.wrapped(), self.name)

    def rows(self, model: Any, names: list[str], inputs: dict[str, Any]) -> Any:
        """A forward in which each row has its own adapter."""
        try:
            return model(**inputs, adapter_names=names)
        except (TypeError, NotImplementedError) as problem:
            raise Unsupported(f"rows of several adapters are not taken: {problem}") from problem
        except ValueError as problem:
            if any(word in str(problem) for word in REFUSALS):
                raise Unsupported(str(problem)) from problem
            raise


class HubSubject(PeftSubject):
    """Adapters of AdapterHub's library."""

    def loaded(self, adapters: list[tuple[str, str]], attn: str | None = None, own: bool = False) -> Any:
        """The base, wrapped, with these adapters, the first active."""
        import adapters as library
        import torch

        torch.manual_seed(SEEDS["adapter"])
        model = self.base(attn, own)
        library.init(model)
        for name, folder in adapters:
            model.load_adapter(folder, load_as=name, set_active=False)
        model.set_active_adapters(adapters[0][0])
        return placed(model, self.job).eval()

    @contextlib.contextmanager
    def off(self, model: Any) -> Iterator[None]:
        """No adapter is active; then the same ones as before."""
        before = model.active_adapters
        model.set_active_adapters(None)
        try:
            yield
        finally:
            model.set_active_adapters(before)

    def activate(self, model: Any, name: str) -> None:
        """Make one adapter the active one."""
        model.set_active_adapters(name)

    def delete(self, model: Any, name: str) -> None:
        """Remove one adapter."""
        model.delete_adapter(name)

    def save(self, model: Any, name: str) -> str:
        """Save one adapter; the folder."""
        folder = os.path.join(self.place, f"saved-{len(os.listdir(self.place))}")
        model.save_adapter(folder, name)
        return folder

    def merged(self, model: Any) -> Any:
        """The base with the adapter's update in its weights; the library wants it to stay active."""
        try:
            model.merge_adapter(self.name)
        except (NotImplementedError, AttributeError, ValueError) as problem:
            raise Unsupported(f"the method cannot be merged: {problem}") from problem
        return model

    def tensors(self, model: Any, name: str) -> dict[str, Any]:
        """What the state holds of one adapter."""
        return {key: value for key, value in model.state_dict().items() if name in key.split(".")}

    def trainable(self, model: Any, name: str) -> dict[str, Any]:
        """The adapter's parameters that its own library trains."""
        model.train_adapter(name)
        model.eval()
        return {key: value for key, value in model.named_parameters() if name in key.split(".") and value.requires_grad}

    def rows(self, model: Any, names: list[str], inputs: dict[str, Any]) -> Any:
        """A forward with a BatchSplit of two adapters."""
        from adapters import composition as blocks

        first = names.count(names[0])
        try:
            setup = blocks.BatchSplit(names[0], names[-1], batch_sizes=[first, len(names) - first])
            model.set_active_adapters(setup)
            return model(**inputs)
        except ValueError as problem:
            if "support" in str(problem) or "Cannot use" in str(problem):  # the library's own words for a refusal
                raise Unsupported(str(problem)) from problem
            raise


def trains(key: str, value: Any) -> bool:
    """True for a parameter that an adapter learns: frozen factors of some methods are parameters too."""
    return bool(value.is_floating_point()) and not any(word in key for word in FROZEN)


FROZEN = (
    "vera_A",
    "vera_B",
    "randlora_A",
    "randlora_B",
    "boft_P",
    "ranknum",
    "base_layer",
    "original_module",
    "lora_P",
)


def varied(subject: Any, model: Any, name: str) -> str:
    """A folder with an adapter like the one called `name`, its numbers multiplied."""
    import torch

    with torch.no_grad():
        for value in subject.trainable(model, name).values():
            value.data.mul_(FACTOR)
    folder: str = subject.save(model, name)
    return folder
