"""`load_adapter`, on shapes: which tensor of the file ends up in which parameter.

Source: adapters 0.2.2 to 1.3.0, loading.py (`AdapterLoader.rename_func`, `filter_func`, `_fix_legacy_config`,
`WeightsLoaderHelper.load_weights_from_state_dict`), torch's `Module._load_from_state_dict`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adaptlint.findings import Mismatch
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.placing import Held, Shape
from adaptlint.runtimes.adapters.release import HubRelease

# Before `adapters`, adapter-transformers named the containers by place and purpose (`legacy_weights_mapping`).
LEGACY = (
    ("attention_text_task_adapters", "adapters"),
    ("attention_text_lang_adapters", "adapters"),
    ("layer_text_task_adapters", "adapters"),
    ("layer_text_lang_adapters", "adapters"),
    ("invertible_lang_adapters", "invertible_adapters"),
)
RENAMED = ("adapters", ".prefix_tunings", ".prefix_gates", ".loras", ".refts")
TOLD = ("_adapters", ".adapters", ".prefix_tunings", ".prefix_gates", ".loras", ".refts", ".prompt_tunings")
SHARED = ".shared_parameters"


class Around(NamedTuple):
    """The model that an adapter is loaded into: `prefix` is its `base_model_prefix`.

    `wraps` is true where the model has a body of that name; `parameters` are the base's own, `others` what it holds of
    the adapters that came before.
    """

    prefix: str
    wraps: bool
    parameters: Mapping[str, Shape]
    others: Mapping[str, Held]


class Loaded(NamedTuple):
    """The outcome of one load; `missing` and `unexpected` as the library spells them, `ignored` as the file does."""

    missing: list[str]
    unexpected: list[str]
    mismatched: list[Mismatch]
    left: list[str]
    ignored: list[str]
    arrived: list[str]


def load_tensors(
    held: Mapping[str, Held],
    shapes: Mapping[str, Shape],
    names: tuple[str, str],
    around: Around,
    release: HubRelease,
) -> Loaded:
    """Copy a file's tensors into what the adapter holds; `names` are that in its config and the one it is loaded as."""
    renamed = renaming(*names, release)
    state = {renamed(key): key for key in shapes}
    prefixed = any(key.startswith(around.prefix) for key in state) if around.prefix else False
    start = f"{around.prefix}." if prefixed and not around.wraps else ""
    below = f"{around.prefix}." if around.wraps and not prefixed else ""
    spelled = {key: start + key.removeprefix(below) for key in held if key.startswith(below)}
    told = _told_keys(names[1], release)
    missing: list[str] = []
    mismatched: list[Mismatch] = []
    arrived: set[str] = set()
    wanted = set(spelled.values())
    for key, name in spelled.items():
        source = state.get(name)
        if source is None:
            if any(part in name for part in told):
                missing.append(name)
            continue
        arrived.add(key)
        if shapes[source] != held[key].shape:
            mismatched.append(Mismatch(name, shapes[source], held[key].shape))
    theirs = {**around.parameters, **{key: other.shape for key, other in around.others.items()}}
    known = {start + key.removeprefix(below): shape for key, shape in theirs.items() if key.startswith(below)}
    for name, source in state.items():
        if name in known and shapes[source] != known[name]:
            mismatched.append(Mismatch(name, shapes[source], known[name]))
    strange = [name for name in state if name not in known and name not in wanted]
    filled = {held[key].owner for key in arrived}
    spare = [held[key].shape for key in spelled if key not in arrived and held[key].owner in filled]
    lost = [name for name in strange if not _is_copy(shapes[state[name]], spare)]
    return Loaded(
        missing,
        [name for name in strange if name.startswith(start)],
        mismatched,
        [key for key, each in held.items() if key == each.owner and key not in filled],
        [state[name] for name in lost],
        [state[spelled[key]] for key in spelled if key in arrived],
    )


def _is_copy(shape: Shape, spare: list[Shape]) -> bool:
    """True where a strange tensor may be one that the file has under another name, too; `spare` loses its shape.

    What layers share is saved once for each of them, so that a name that is lost takes nothing with it.
    """
    if shape not in spare:
        return False
    spare.remove(shape)
    return True


def renaming(old: str, new: str, release: HubRelease) -> Callable[[str], str]:
    """The model's spelling of a file's keys. What a prompt is called is left as it was (`rename_func`)."""
    shared = (SHARED,) if release.counts_shared else ()
    pairs = [*LEGACY, *((f"{part}.{old}.", f"{part}.{new}.") for part in (*RENAMED, *shared))]

    def renamed(key: str) -> str:
        for before, after in pairs:
            key = key.replace(before, after)
        return key

    return renamed


def _told_keys(name: str, release: HubRelease) -> list[str]:
    shared = (SHARED,) if release.counts_shared else ()
    return [f"{part}.{name}." for part in (*TOLD, *shared)]


def mismatch_text(first: Mismatch) -> str:
    """What torch says of one tensor of another size."""
    return (
        f"size mismatch for {first.key}: copying a param with shape torch.Size({list(first.checkpoint_shape)}) "
        f"from checkpoint, the shape in current model is torch.Size({list(first.model_shape)})."
    )
