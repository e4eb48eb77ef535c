"""`set_peft_model_state_dict`: which tensor of the file ends up in which parameter."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Mismatch, Where
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.conversion import Entry, convert_keys
from adaptlint.runtimes.peft.key_text import rename_saved, with_adapter
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import PREFIX, Origin, Wrapped

Shape = tuple[int, ...]
MAGNITUDE = "lora_magnitude_vector"


class Loaded(NamedTuple):
    """The outcome of one load: keys in the model's spelling, sources in the file's.

    `arrived` maps a model key to the file's keys it came from; `missing` and `unexpected` are PEFT's own load result
    (before its filter for the warning), `mismatched` the tensors whose shapes differ.
    """

    arrived: dict[str, tuple[str, ...]]
    missing: list[str]
    unexpected: dict[str, tuple[str, ...]]
    mismatched: list[Mismatch]
    keys: dict[str, Origin]


def load_tensors(wrapped: Wrapped, adapter: str, settings: Settings, file: TensorFile) -> Loaded:
    """Translate the file's keys and copy them in; Refusal for what raises before any shape is compared."""
    release = settings.release
    shapes = {key: row.shape for key, row in file.tensors.items()}
    keys = wrapped.keys(base=False)
    state = convert_keys(shapes, wrapped.base, adapter, release.converts_checkpoints and settings.is_lora)
    if release.saved_keys_by_text:
        state = rename_saved(state, wrapped.copies.names, adapter)
    else:
        _translate_wrappers(keys, adapter, shapes, state, settings, file)
    if not settings.is_lora:
        from adaptlint.runtimes.peft.method_files import rewrite

        rewrite(wrapped, adapter, settings, state, file)
        keys = wrapped.keys(base=False)
    if release.maps_keys_from_model:
        state = {(k + ".weight" if k.endswith(MAGNITUDE) else k): v for k, v in state.items()}
        to_model = checkpoint_keys(keys, adapter, settings)
        state = {to_model.get(key, key): entry for key, entry in state.items()}
    else:
        prefix = settings.method.prefix if settings.method.adapts_modules else ""
        state = {with_adapter(key, adapter, release, prefix): entry for key, entry in state.items()}
    for name in wrapped.prompts.get(adapter, ()):
        from adaptlint.runtimes.peft.prompts import spelling

        state.pop(spelling(wrapped, file, name), None)  # the prompt encoder takes them by itself
    if file.others or settings["bias"] != "none" or not state.keys() <= keys.keys():
        keys = wrapped.keys()  # something may reach the base's own parameters
    return _copy(keys, state, file, settings.method.takes_any_shape)


def _translate_wrappers(
    keys: dict[str, Origin],
    adapter: str,
    shapes: dict[str, Shape],
    state: dict[str, Entry],
    settings: Settings,
    file: TensorFile,
) -> None:
    """Tensors of modules_to_save and trainable tokens are looked up one by one, and raise when absent."""
    tokens_of_others = [
        (key, origin._replace(adapter=adapter))
        for key, origin in keys.items()
        if origin.kind == "tokens" and origin.adapter != adapter
    ]
    present = {origin.module for origin in keys.values() if origin.kind == "tokens" and origin.adapter == adapter}
    wanted = [(k, o) for k, o in keys.items() if o.adapter == adapter and o.kind in ("saved", "tokens")]
    # TrainableTokensWrapper asks for its rows whichever adapter is loaded (adapter_state_dict_load_map).
    wanted += [(k, o) for k, o in tokens_of_others if o.module not in present]
    for key, origin in wanted:
        if origin.saved not in shapes or origin.saved not in state:
            from adaptlint.runtimes.peft.heads import renamed_to

            field = "modules_to_save" if origin.kind == "saved" else "trainable_token_indices"
            raise Refusal(
                "KeyError",
                origin.saved,
                "saved-module-missing",
                at=Where(file.path),
                module=origin.module,
                facts={
                    "key": origin.saved,
                    "field": field,
                    "asked_by": _asked_by(settings, field),
                    "renamed": renamed_to(origin, shapes, keys),
                },
                because=((settings.where(field), f"{field} asks for it"),) if settings.given.get(field) else (),
            )
        state[key] = Entry(shapes[origin.saved], (origin.saved,))
        del state[origin.saved]


def _asked_by(settings: Settings, field: str) -> str:
    """The config field that asks for a saved module: a task type implies its head."""
    return field if settings.given.get(field) else f"task_type {settings['task_type']}"


def checkpoint_keys(keys: dict[str, Origin], adapter: str, settings: Settings) -> dict[str, str]:
    """The model's key for each key that a checkpoint may have (`BaseTuner._remap_adapter_state_dict_for_load`).

    What lies at the model's root is known with the prefix of the base, too.
    """
    own = {k: o for k, o in keys.items() if o.kind in ("site", "alias") and o.adapter == adapter}
    if settings.is_lora:
        suffix = f".{adapter}"
        return {_without(key, suffix): key for key in own}
    found = {origin.saved: key for key, origin in own.items()}
    found |= {PREFIX + origin.saved: key for key, origin in own.items() if not key.startswith(PREFIX)}
    return found


def without_adapter(key: str, adapter: str) -> str:
    """`_remove_adapter_name_from_state_dict_key`: the checkpoint's spelling of a model key."""
    return _without(key, f".{adapter}")


def _without(key: str, suffix: str) -> str:
    if key.endswith(suffix):
        return key.removesuffix(suffix)
    stem, dot, leaf = key.rpartition(".")
    return stem.removesuffix(suffix) + dot + leaf


def _copy(keys: dict[str, Origin], state: dict[str, Entry], file: TensorFile, any_shape: bool) -> Loaded:
    arrived: dict[str, tuple[str, ...]] = {}
    mismatched: list[Mismatch] = []
    missing: list[str] = []
    for key, origin in keys.items():
        entry = state.get(key)
        if entry is None:
            missing.append(key)
        elif not _takes(origin, entry.shape, any_shape):
            mismatched.append(Mismatch(key, entry.shape, origin.shape))
            arrived[key] = entry.sources
        else:
            arrived[key] = entry.sources
    unexpected = {key: entry.sources for key, entry in state.items() if key not in keys}
    unexpected.update({key: (key,) for key in file.others if key not in keys})
    return Loaded(arrived, missing, unexpected, mismatched, keys)


def _takes(origin: Origin, shape: Shape, any_shape: bool) -> bool:
    """True where a parameter is filled without a complaint; torch takes one element for a scalar."""
    return shape == origin.shape or (origin.shape == () and len(shape) == 1) or (any_shape and origin.kind == "site")


def warned_keys(missing: list[str], prefix: str, adapter: str) -> list[str]:
    """The missing keys that PEFT reports: prefix and adapter name anywhere in the key (PeftModel.load_adapter)."""
    return [key for key in missing if prefix in key and adapter in key]


def base_name(key: str) -> str:
    """A model key without PEFT's prefix."""
    return key.removeprefix(PREFIX)
