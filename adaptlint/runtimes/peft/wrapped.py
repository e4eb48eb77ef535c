"""The base as PEFT wraps it: which parameters the wrapped model has, under which keys, in which shapes.

Keys are those of `PeftModel.state_dict()`: "base_model.model." + the base's path, with an infix where a module is
wrapped (`base_layer` by a LoRA layer or ParamWrapper, `original_module` by ModulesToSaveWrapper,
`token_adapter.base_layer` by TrainableTokensWrapper).
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases import Base, Module
from adaptlint.methods import PEFT_PREFIX
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.saved_copies import SavedCopies

ROOT = "base_model."
PREFIX = PEFT_PREFIX
BASE_LAYER = "base_layer"
EMBEDDING = "word_embeddings"  # PeftModel._setup_prompt_encoder's name for the base's input embedding
TOKENS = ".token_adapter.base_layer"
Shape = tuple[int, ...]


class Origin(NamedTuple):
    """What a key of the wrapped model is: kind "site", "alias", "saved", "tokens", "tied-tokens" or "base"."""

    kind: str
    adapter: str
    module: str
    shape: Shape
    saved: str  # the key under which a checkpoint has it


class Site:
    """A method on one module (or one parameter of it): per adapter the parameters as (key, saved name, shape)."""

    __slots__ = ("adapters", "infix", "kind", "parameter", "path")

    def __init__(self, path: str, kind: str, parameter: str = "", infix: str = BASE_LAYER) -> None:
        self.path = path
        self.infix = infix
        self.kind = kind
        self.parameter = parameter
        self.adapters: dict[str, Applied] = {}


class Applied(NamedTuple):
    """One adapter on one site: its rank, its effective scale and its parameters (key, saved name, shape).

    `aliases` are the saved names of those that are views of a tensor at the model's root.
    """

    rank: int
    scale: float
    tensors: tuple[tuple[str, str, Shape], ...]
    aliases: frozenset[str] = frozenset()


class Wrapped:
    """The base and everything that PEFT put around its modules."""

    __slots__ = (
        "active",
        "base",
        "buried",
        "by_path",
        "copies",
        "embedding",
        "merged",
        "modules",
        "parameters",
        "prefix",
        "prompts",
        "release",
        "saved",
        "saved_embedding",
        "shared",
        "sites",
        "tokens",
    )

    def __init__(self, base: Base, release: Release, prefix: str = PREFIX) -> None:
        self.base = base
        self.release = release
        self.merged = False  # the adapter is part of the base's weights, and PEFT's layers are gone
        self.active = ""  # the model's active adapter; "" before the first is loaded
        self.modules: list[Module] = base.modules
        self.by_path: dict[str, Module] = base.by_path
        self.sites: dict[str, Site] = {}
        self.parameters: dict[str, list[Site]] = {}  # module -> wrappers, innermost first
        self.saved: dict[str, dict[str, dict[str, Shape]]] = {}  # module -> adapter -> {relative key: shape}
        self.shared: dict[str, list[tuple[str, str, Shape]]] = {}  # adapter -> parameters at the model's root
        self.prefix = prefix  # of the base's keys; prompt learning puts no tuner around the base
        self.prompts: dict[str, dict[str, Shape]] = {}  # adapter -> its virtual tokens by their names in a file
        self.embedding = ""  # the module that PeftModel.word_embeddings is too, where prompts are learnt
        self.saved_embedding: dict[str, dict[str, Shape]] = {}  # its copies under that second path, as in `saved`
        self.copies = SavedCopies(release)
        self.buried = ""  # an adapter whose factors modules_to_save has wrapped by mistake
        self.tokens: dict[str, dict[str, Shape | None]] = {}  # embedding -> adapter -> shape of its rows; None: tied

    def replace_modules(self, modules: list[Module]) -> None:
        """Another module table in the place of the base's own (layer_replication)."""
        self.modules = modules
        self.by_path = {module.path: module for module in modules}

    def infix(self, path: str) -> str:
        """What stands between a module's key and its own parameters."""
        infix = ".base_layer" * len(self.parameters.get(path, ()))
        if path in self.sites and (self.release.has_base_layer or self.sites[path].infix != BASE_LAYER):
            infix += f".{self.sites[path].infix}"
        if path in self.tokens:
            infix += TOKENS
        return infix + (".original_module" if path in self.saved else "")

    def keys(self, base: bool = True) -> dict[str, Origin]:
        """Every key of the wrapped model's state dict, in module order; without `base` only what PEFT added."""
        keys: dict[str, Origin] = {}
        if not (base or self.parameters or self.saved or self.tokens):
            for path, site in self.sites.items():
                keys.update(self._site_keys(site, self.prefix + path))
            keys.update(self._root_keys())
            return keys
        inner: dict[str, str] = {"": self.prefix[:-1]}
        wrapped = set(self.sites) | set(self.parameters) | set(self.saved) | set(self.tokens)
        for module in self.modules:
            path = module.path
            parent, _, leaf = path.rpartition(".")
            outer = f"{inner.get(parent) or self.prefix + parent}.{leaf}".removeprefix(".")
            own = outer + self.infix(path) if path in wrapped else outer
            inner[path] = own
            for name, shape in (*module.params.items(), *module.buffers.items()) if base else ():
                key = f"{own}.{name}"
                keys[key] = Origin("base", "", path, shape, key)
            if path in wrapped:  # after the module's own, as torch lists them: base_layer is registered first
                keys.update(self._around(path, outer))
        if base:
            keys.update(self._shared_and_root())
        keys.update(self._root_keys())
        keys.update(self._embedding_keys(base))
        return keys

    def _site_keys(self, site: Site, outer: str) -> Iterator[tuple[str, Origin]]:
        for adapter, applied in site.adapters.items():
            for key, saved, shape in applied.tensors:
                kind = "alias" if saved in applied.aliases else "site"
                if adapter == self.buried:
                    key = key.replace(f".{adapter}.", f".{adapter}.modules_to_save.{adapter}.")
                yield f"{outer}.{key}", Origin(kind, adapter, site.path, shape, f"{outer}.{saved}")

    def _root_keys(self) -> Iterator[tuple[str, Origin]]:
        """What methods keep at the model's root: torch lists it after the base, which is registered first."""
        for adapter, rows in self.shared.items():
            for key, saved, shape in rows:
                yield f"{ROOT}{key}", Origin("site", adapter, "", shape, f"{ROOT}{saved}")

    def _shared_and_root(self) -> Iterator[tuple[str, Origin]]:
        """Parameters under the further paths of shared modules, and those of the model itself."""
        for alias, path in self.base.aliases.items():
            for name, shape in subtree(self.modules, path).items():
                key = f"{self.prefix}{alias}.{name}"
                yield key, Origin("base", "", path, shape, key)
        for name, shape in (*self.base.root.params.items(), *self.base.root.buffers.items()):
            yield self.prefix + name, Origin("base", "", "", shape, self.prefix + name)

    def _embedding_keys(self, base: bool) -> Iterator[tuple[str, Origin]]:
        """The embedding of prompt learning under its second path, which `_set_trainable` wraps by itself."""
        tensors = subtree(self.modules, self.embedding) if self.embedding else {}
        stem = f"{EMBEDDING}.original_module" if self.saved_embedding else EMBEDDING
        for name, shape in tensors.items() if base else ():
            yield f"{stem}.{name}", Origin("base", "", self.embedding, shape, f"{stem}.{name}")
        for adapter, copy in self.saved_embedding.items():
            for name, shape in copy.items():
                key = f"{EMBEDDING}.modules_to_save.{adapter}.{name}"
                yield key, Origin("saved", adapter, self.embedding, shape, f"{EMBEDDING}.{name}")

    def _around(self, path: str, outer: str) -> Iterator[tuple[str, Origin]]:
        wrappers = self.parameters.get(path, [])
        for depth, site in enumerate(wrappers, start=1):
            yield from self._site_keys(site, outer + ".base_layer" * (len(wrappers) - depth))
        if path in self.sites:
            yield from self._site_keys(self.sites[path], outer)
        for adapter, shape in self.tokens.get(path, {}).items():
            stem = f"{outer}.token_adapter.trainable_tokens_delta"
            kind = "tokens" if shape is not None else "tied-tokens"
            yield f"{stem}.{adapter}", Origin(kind, adapter, path, shape or (), stem)
        if path in self.tokens:  # tokens are wrapped last, around a module that is saved whole
            outer += TOKENS
        for adapter, tensors in self.saved.get(path, {}).items():
            for name, shape in tensors.items():
                key = f"{outer}.modules_to_save.{adapter}.{name}"
                yield key, Origin("saved", adapter, path, shape, f"{outer}.{name}")


def subtree(modules: list[Module], path: str) -> dict[str, Shape]:
    """The state dict of one module with all below it: relative key -> shape."""
    shapes: dict[str, Shape] = {}
    for module in modules:
        if module.path == path or module.path.startswith(path + "."):
            stem = module.path[len(path) + 1 :]
            for name, shape in (*module.params.items(), *module.buffers.items()):
                shapes[f"{stem}.{name}" if stem else name] = shape
    return shapes
