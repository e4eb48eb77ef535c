"""What a forward asks of a device that the meta device does not answer.

Facts: torch 2.13, amp/autocast_mode.py (no autocast for "meta"); transformers before 5 enters it with the device of
the states, as modeling_llama.py 4.40 does around the rotary embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from copy import copy

from adaptlint.hints import Any

_ABSENT = object()


@contextmanager
def put(place: Any, name: str, new: Any) -> Iterator[None]:
    """An attribute of a module or class replaced for a while, or given to one that lacks it."""
    before = vars(place).get(name, _ABSENT)
    setattr(place, name, new)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(place, name)
        else:
            setattr(place, name, before)


@contextmanager
def without_autocast(torch: Any) -> Iterator[None]:
    """No autocast for meta tensors, and none where it is asked about: a forward runs in its own dtypes."""
    real, asked = torch.autocast, torch.is_autocast_enabled

    class Autocast(real):  # type: ignore[misc, valid-type]
        """The real one for every other device."""

        def __new__(cls, device_type: Any = None, *args: Any, **kwargs: Any) -> Any:
            return nullcontext() if device_type == "meta" else real(device_type, *args, **kwargs)

    def is_enabled(device_type: Any = None) -> Any:
        return device_type != "meta" and (asked() if device_type is None else asked(device_type))

    with put(torch, "autocast", Autocast), put(torch, "is_autocast_enabled", is_enabled):
        yield


@contextmanager
def with_numbers(torch: Any) -> Iterator[None]:
    """Rates that a class reads out of `linspace` while it is built are real numbers, unless it names a device.

    transformers before 5 does so without one, as modeling_swin.py 4.40 with the rates of its drop path.
    """
    with torch.device("meta"):
        torch.empty(0)  # torch keeps the functions that make tensors at the first use of a device: the real ones
    real = torch.linspace
    with torch.device("cpu"):  # torch notes once which functions heed a default device: the real one is among them
        real(0, 1, 1)

    def linspace(*args: Any, **kwargs: Any) -> Any:
        return real(*args, **{"device": "cpu", **kwargs})

    with put(torch, "linspace", linspace):
        yield


@contextmanager
def as_built(model: Any) -> Iterator[None]:
    """What a forward keeps on its modules for the next one (a table of angles, say) is forgotten again."""
    kept = [
        (module, {name: copy(value) if isinstance(value, dict | list) else value for name, value in own.items()})
        for module in model.modules()
        for own in [{name: one for name, one in vars(module).items() if name == "_buffers" or name[0] != "_"}]
    ]
    try:
        yield
    finally:
        for module, own in kept:
            for name in [name for name in vars(module) if name[0] != "_" and name not in own]:
                delattr(module, name)
            vars(module).update(own)


@contextmanager
def without_vmap(masking: Any) -> Iterator[None]:
    """Masks that a function of places gives, made for all places at once: nothing is recorded inside torch.vmap.

    transformers 5.23, masking_utils.py (`_vmap_expansion_sdpa`); 4.53 to 4.57 call it `_vmap_for_bhqkv`.
    """

    def whole(mask_function: Any, bh_indices: bool = True) -> Any:
        def make(batch: Any, head: Any, row: Any, column: Any) -> Any:
            if not bh_indices:
                return mask_function(None, None, row[:, None], column[None, :])
            places = (batch[:, None, None, None], head[None, :, None, None], row[:, None], column[None, :])
            sizes = [one.shape[0] for one in (batch, head, row, column)]
            return mask_function(*places).expand(*sizes)

        return make

    with ExitStack() as stack:
        for name in ("_vmap_expansion_sdpa", "_vmap_for_bhqkv"):
            if hasattr(masking, name):
                stack.enter_context(put(masking, name, whole))
        yield


@contextmanager
def without_checks(recorder: Any, files: Any) -> Iterator[None]:
    """Checks on values that a forward makes only to raise: an ordinary input passes them, and no branch is taken.

    transformers 5.23, utils/import_utils.py (`torch_compilable_check`): as many words for images as there are images.
    """

    def passed(*_: Any, **__: Any) -> None:
        if recorder.guards and recorder.guards[-1].at == len(recorder.nodes):
            recorder.guards.pop()
            recorder.guard_places.pop()

    with ExitStack() as stack:
        for file in files:
            if hasattr(file, "torch_compilable_check"):
                stack.enter_context(put(file, "torch_compilable_check", passed))
        yield


class _AnySet(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, set)


class _InOrder(set[Any], metaclass=_AnySet):
    """A set whose elements come in the order of their names."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=str))


@contextmanager
def sets_in_order(files: Any) -> Iterator[None]:
    """Sets that a forward makes come in the order of names: that of their hashes is another one in every process.

    transformers 5.23, modeling_gemma3.py: an embedding of positions for each of `set(config.layer_types)`.
    """
    with ExitStack() as stack:
        for file in files:
            stack.enter_context(put(file, "set", _InOrder))
        yield


def given_a_language(model: Any) -> None:
    """X-MOD runs no forward before its user has chosen one of its languages: the first here."""
    languages = getattr(model.config, "languages", None)
    if languages and getattr(model.config, "default_language", "") is None:
        model.set_default_language(languages[0])
