"""What was given, joined: the base, and the adapters in load order with their files opened once."""

from __future__ import annotations

from adaptlint.artefacts import Document, Folder, Malformed, TensorFile, ValueRow, open_folder, scan_values
from adaptlint.bases import Base, BaseProblem
from adaptlint.named_tuple import NamedTuple

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


class Adapter:
    """One adapter folder under the name that it is loaded as; `folder` is Malformed when there is none to open.

    `named` is true where the user gave the name; a runtime whose configs have names takes those otherwise.
    """

    __slots__ = ("_values", "folder", "name", "named", "path")

    def __init__(self, name: str, path: str, named: bool = True) -> None:
        self.name = name
        self.named = named
        self.path = path
        self.folder: Folder | Malformed = open_folder(path)
        self._values: dict[str, dict[str, ValueRow]] = {}

    @property
    def config(self) -> Document | Malformed | None:
        """The parsed adapter_config.json, why it cannot be read, or None when the folder has none."""
        if isinstance(self.folder, Malformed):
            return None
        if CONFIG not in self.folder.names and CONFIG not in self.folder.odd:
            return None
        return self.folder.json(CONFIG)

    @property
    def given(self) -> dict[str, object]:
        """The config's object; empty when there is none."""
        config = self.config
        return config.value if isinstance(config, Document) and isinstance(config.value, dict) else {}

    def values(self, file: TensorFile, how: str) -> dict[str, ValueRow]:
        """What the tensors' values are like, read once; `how` is none, sample or full."""
        if how == "none":
            return {}
        if file.path not in self._values:
            self._values[file.path] = scan_values(file, list(file.tensors), full=how == "full")
        return self._values[file.path]


class Scene(NamedTuple):
    """Everything that a check looks at; `base` is a BaseProblem when the base is not known."""

    model_ref: str
    base: Base | BaseProblem
    adapters: tuple[Adapter, ...]
    values: str = "none"
    task: str | None = None

    @property
    def known_base(self) -> Base | None:
        """The base, or None when it is not known."""
        return self.base if isinstance(self.base, Base) else None


def weights_of(adapter: Adapter) -> TensorFile | Malformed | None:
    """The adapter's tensors, safetensors before a torch checkpoint; None when the folder has neither."""
    if isinstance(adapter.folder, Malformed):
        return None
    for name in WEIGHTS:
        if name in adapter.folder.names or name in adapter.folder.odd:
            return adapter.folder.tensors(name)
    return None
