"""What the rooms above see of a base model."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.bases.folded import expand_tree, fold_modules
from adaptlint.bases.module import Module
from adaptlint.findings import Fact, Where
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.named_tuple import NamedTuple

if TYPE_CHECKING:
    from adaptlint.artefacts import Document, Malformed, TensorFile

Shape = tuple[int, ...]


class BaseProblem(NamedTuple):
    """Why no base could be had: `reason` is the slug that a rule page claims."""

    reason: str
    facts: Mapping[str, Fact] = {}
    at: Where | None = None


class Overlay(NamedTuple):
    """What the base's own headers say that differs from the class's table; parameter names are the class's.

    `disagreements`: (name, header's shape, table's shape), the header's shape being the one that is believed.
    `unsaved`: parameters of the class that the headers lack. `surplus`: header tensors that the class lacks.
    """

    shapes: dict[str, Shape]
    disagreements: list[tuple[str, Shape, Shape]]
    unsaved: list[str]
    surplus: list[str]


class Base:
    """A base model as one class sees it: modules in `named_modules()` order, ties, embeddings, loading tables.

    `record` is what a build, lock or cache entry holds (see `record.py`); everything here is read from it, the
    modules lazily. `source` is "meta", "cache", "lock", "shipped" (a table, see
    `families.py`) or "headers".
    """

    __slots__ = (
        "_by_path",
        "_folded",
        "_modules",
        "asked",
        "config",
        "config_file",
        "header_problem",
        "headers",
        "overlay",
        "record",
        "ref",
        "source",
    )

    def __init__(
        self,
        ref: str,
        source: str,
        record: dict[str, Any],
        *,
        asked: str | None = None,
        config: dict[str, Any] | None = None,
        config_file: Document | None = None,
    ) -> None:
        self.ref = ref
        self.source = source
        self.record = record
        self.asked = asked
        self.config: dict[str, Any] = record["config"] if config is None else config
        self.config_file = config_file
        self.headers: TensorFile | None = None
        self.header_problem: Malformed | None = None
        self.overlay: Overlay | None = None
        self._modules: list[Module] | None = None
        self._by_path: dict[str, Module] | None = None
        self._folded: dict[str, Any] | None = None

    @property
    def model_type(self) -> str | None:
        """The config's `model_type`."""
        value: str | None = self.record["model_type"]
        return value

    @property
    def model_class(self) -> str | None:
        """Name of the transformers class, None where only headers are known."""
        value: str | None = self.record["model_class"]
        return value

    @property
    def made_with(self) -> dict[str, str]:
        """Releases that the table describes, by distribution name (transformers, torch); empty for headers."""
        value: dict[str, str] = self.record["made_with"]
        return value

    @property
    def resolved_config(self) -> dict[str, Any]:
        """The config with the class's defaults filled in, as `model.config.to_dict()` has it."""
        value: dict[str, Any] = self.record["config"]
        return value

    @property
    def certain_kinds(self) -> bool:
        """False where module kinds are inferred from tensor names and shapes."""
        return "inferred" not in self.record["features"]

    @property
    def ties(self) -> list[tuple[str, str]]:
        """Parameter names that are one tensor after tying; the first is the one that `named_parameters()` yields."""
        return [(first, other) for first, other in self.record["ties"]]

    @property
    def aliases(self) -> dict[str, str]:
        """Further paths of a shared module -> the path under which `named_modules()` yields it."""
        value: dict[str, str] = self.record["aliases"]
        return value

    @property
    def input_embedding(self) -> str | None:
        """Path of the module that `get_input_embeddings()` returns."""
        value: str | None = self.record["input_embedding"]
        return value

    @property
    def output_embedding(self) -> str | None:
        """Path of the module that `get_output_embeddings()` returns."""
        value: str | None = self.record["output_embedding"]
        return value

    @property
    def output_embedding_raises(self) -> bool:
        """True if `get_output_embeddings()` raises; features["output_embedding_error"] says with what."""
        return "output_embedding_error" in self.record["features"]

    @property
    def features(self) -> dict[str, Any]:
        """What the class and its instance answer when asked; see `record.py`."""
        value: dict[str, Any] = self.record["features"]
        return value

    @property
    def transforms(self) -> list[dict[str, Any]]:
        """Every weight transform that transformers applies when this class loads a checkpoint, in order."""
        value: list[dict[str, Any]] = self.record["transforms"]
        return value

    @property
    def conversion(self) -> list[dict[str, Any]] | None:
        """The transforms that PEFT applies to adapters of this base; None where the model type registers none."""
        return self.transforms if self.features.get("converts_adapters") else None

    @property
    def disagreements(self) -> list[tuple[str, Shape, Shape]]:
        """(parameter, header's shape, table's shape) where the base's own headers contradict its config."""
        return self.overlay.disagreements if self.overlay else []

    @property
    def tree(self) -> dict[str, Any]:
        """The folded module tree: {"class", "kind", "params", "buffers", "attrs", "children"}, defaults left out."""
        if self.overlay is None or not self.overlay.shapes:
            tree: dict[str, Any] = self.record["tree"]
            return tree
        if self._folded is None:
            self._folded = fold_modules([self.root, *self.modules])
        return self._folded

    @property
    def root(self) -> Module:
        """The model itself, under the empty path."""
        return self._all()[0]

    @property
    def modules(self) -> list[Module]:
        """`named_modules()` of the class without the root; a shared module once."""
        return self._all()[1:]

    @property
    def by_path(self) -> dict[str, Module]:
        """Module by dotted path, aliases included."""
        if self._by_path is None:
            self._by_path = {module.path: module for module in self._all()[1:]}
            for alias, path in self.aliases.items():
                for module in self._all()[1:]:
                    if module.path == path or module.path.startswith(path + "."):
                        moved = alias + module.path[len(path) :]
                        self._by_path[moved] = module
        return self._by_path

    def parameters(self) -> dict[str, Shape]:
        """Parameter name -> shape in `named_parameters()` order, tied ones under every name."""
        names: dict[str, Shape] = {}
        for module in self._all():
            prefix = module.path + "." if module.path else ""
            for name, shape in module.params.items():
                names[prefix + name] = shape
        return names

    def lay_over(self, headers: TensorFile, overlay: Overlay) -> None:
        """Believe the base's own headers from here on."""
        self.headers, self.overlay = headers, overlay
        if overlay.shapes:
            self._modules = self._by_path = self._folded = None

    def answers(self, asked: str | None) -> bool:
        """True if this table is what the class or Auto class `asked` would give for this config."""
        return asked is None or asked in (self.asked, self.model_class) or asked in self.features.get("answers_to", ())

    def _all(self) -> list[Module]:
        if self._modules is None:
            self._modules = expand_tree(self.record["tree"])
            if self.overlay is not None and self.overlay.shapes:
                self._modules = [overlaid(module, self.overlay.shapes) for module in self._modules]
        return self._modules


def overlaid(module: Module, shapes: Mapping[str, Shape]) -> Module:
    """The module with the parameter shapes that `shapes` has for it."""
    prefix = module.path + "." if module.path else ""
    changed = {name: shapes[prefix + name] for name in module.params if prefix + name in shapes}
    return module._replace(params={**module.params, **changed}) if changed else module
