"""Putting any method but LoRA on modules: the formulas of its card, worked out for each layer by release."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from adaptlint.bases import Base, Module
from adaptlint.findings import Fact, Where
from adaptlint.hints import Any
from adaptlint.methods import Check, Method, TensorSpec
from adaptlint.runtimes.peft.layers import CONVOLUTIONS, check_name, feature_sizes, is_other_embedding
from adaptlint.runtimes.peft.patterns import full_match
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Applied, Shape
from adaptlint.shapes.expression import Unevaluable, evaluate

MAX_REPEAT = 10_000
VALUES = (bool, int, float, str, type(None), dict, list)


class Tuner:
    """Makes the layers of one adapter whose method has a card."""

    __slots__ = ("adapter", "base", "method", "names", "settings", "targets")

    def __init__(
        self,
        settings: Settings,
        adapter: str,
        targets: list[Module],
        base: Base,
        explain: Callable[[], tuple[str, dict[str, Fact], Where]],
    ) -> None:
        self.settings = settings
        self.base = base
        self.targets = targets
        self.method: Method = settings.method
        self.adapter = adapter
        self.names: dict[str, Any] = {
            field: value for field, value in settings.values.items() if isinstance(value, VALUES)
        }
        wide = [feature_sizes(m) for m in targets if m.kind in self.method.layers and m.kind not in CONVOLUTIONS]
        self.names["targets"] = sum(m.kind in self.method.layers for m in targets)
        self.names["area"] = sum(sizes["in"] * sizes["out"] for sizes in wide)
        self.names["max_in"] = max((sizes["in"] for sizes in wide), default=0)
        self.names["max_out"] = max((sizes["out"] for sizes in wide), default=0)
        if self.method.no_match and not wide:
            reason, facts, at = explain()
            raise Refusal("ValueError", self.method.no_match, reason, at=at, facts=facts)
        if self.method.one_size:
            self._check_one_size(wide)
        check_name(adapter)
        self._look_at_base()
        if self.method.unknown and self._ask(self.method.unknown, self.names, ""):
            at = settings.where("peft_type")
            raise NotModelled(
                "method-not-modelled", at=at, facts={"value": f"{self.method.peft_type} as it is set here"}
            )
        self._check_roots()

    def _look_at_base(self) -> None:
        if self.method.adapts_blocks:
            from adaptlint.runtimes.peft import shadow

            self.names["hidden"] = shadow.hidden_size(self.base, self.settings)
            shadow.check_blocks(self.targets, self.base, self.settings)

    def _check_roots(self) -> None:
        """What is refused before any layer is made."""
        for check in self.method.root_checks:
            if self._ask(check.when, self.names, check.field):
                match, at = check.match.format_map(self.names), self.settings.where(check.field)
                raise Refusal(check.type, match, "config-value-impossible", at=at, facts={"field": check.field})

    def apply(self, module: Module) -> Applied | None:
        """The parameters that the method adds to a module, None where it passes it over; Refusal where it refuses."""
        method = self.method
        if method.copies:
            return self._copied(module)
        if not _fits(module, method.layers):
            if method.skips_other_layers:
                return None
            if not method.refusal:
                at, facts = self.settings.where("target_modules"), {"kind": module.cls}
                raise NotModelled("layer-not-modelled", at=at, module=module.path, facts=facts)
            own = method.refusal_without_bias if "bias" not in module.params else {}
            refusal = own or method.refusal
            raise self._refuse(refusal["type"], refusal["match"], module, "layer-not-supported")
        if is_other_embedding(module):
            at, facts = self.settings.where("target_modules"), {"kind": module.cls}
            raise NotModelled("layer-not-modelled", at=at, module=module.path, facts=facts)
        names = {**self.names, **layer_names(module), **self._by_module(module)}
        for name, formula in method.sizes.items():
            names[name] = self._ask(formula, names, "")
        for check in method.checks:
            if not check.layers or module.kind in check.layers:
                self._check(check, names, module)
        for name, formula in method.late_sizes.items():
            names[name] = self._ask(formula, names, "")
        rank = names.get("r")
        tensors = tuple(self._tensors(module, names))
        aliases = frozenset(spec.saved for spec in method.tensors if spec.alias)
        scale = self._ask(method.scaling or method.scale, names, method.scale) if method.scale else 1.0
        scale = float(scale) if isinstance(scale, (int, float)) else 1.0
        return Applied(rank if isinstance(rank, int) else 0, scale, tensors, aliases)

    def _check_one_size(self, targets: list[dict[str, Any]]) -> None:
        """VeRA before 0.12: all targets have the size of the first one."""
        shapes = list(dict.fromkeys((sizes["out"], sizes["in"]) for sizes in targets))
        if len(shapes) > 1:
            match = self.method.one_size.format(first=shapes[0], other=shapes[1])
            facts: dict[str, Fact] = {"field": "target_modules"}
            at = self.settings.where("target_modules")
            raise Refusal("ValueError", match, "config-value-impossible", at=at, facts=facts)

    def shared(self) -> list[tuple[str, str, Shape]]:
        """The tensors that the method keeps once, at the root of the model."""
        for name, formula in self.method.root_sizes.items():
            self.names[name] = self._ask(formula, self.names, "")
        if self.method.adapts_blocks:
            from adaptlint.runtimes.peft.shadow import root_tensors

            return root_tensors(self.base, self.settings, self.adapter)
        specs = [spec for spec in self.method.shared if not spec.when or self._ask(spec.when, self.names, "")]
        return [row for spec in specs for names in self._each(spec) for row in self._rows(spec, names)]

    def _each(self, spec: TensorSpec) -> list[dict[str, Any]]:
        """The sizes of a shared tensor, once for the model or once for each category of its targets."""
        if "{category}" not in spec.saved:
            return [self.names]
        from adaptlint.runtimes.peft.frod import widths

        found = widths(self.targets, self.settings)
        return [{**self.names, "category": name, "in": width} for name, width in found.items()]

    def _tensors(self, module: Module, names: Mapping[str, Any]) -> Iterator[tuple[str, str, Shape]]:
        for spec in self.method.tensors:
            if _fits(module, spec.layers) and (not spec.when or self._ask(spec.when, names, "")):
                yield from self._rows(spec, names)

    def _rows(self, spec: TensorSpec, names: Mapping[str, Any]) -> Iterator[tuple[str, str, Shape]]:
        try:
            shape = spec.signature.shape(names)
        except (TypeError, ValueError, ZeroDivisionError, Unevaluable) as problem:
            raise self._unclear(spec.saved) from problem
        if any(type(size) is not int or size < 0 for size in shape):
            raise self._unclear(spec.saved)
        count = names[spec.repeat] if spec.repeat else 1
        if not isinstance(count, int) or count > MAX_REPEAT:
            raise self._unclear(spec.repeat)
        for index in range(count):
            holes = {"adapter": self.adapter, "i": index, "category": names.get("category")}
            yield spec.key.format_map(holes), spec.saved.format_map(holes), shape

    def _copied(self, module: Module) -> Applied:
        """A copy of the whole module is trained, with all its parameters and buffers."""
        stem = self.method.copies
        own = {**module.params, **module.buffers}
        rows = tuple((f"{stem}.{self.adapter}.{name}", f"{stem}.{name}", shape) for name, shape in own.items())
        return Applied(0, 1.0, rows)

    def _by_module(self, module: Module) -> dict[str, Any]:
        """What the config's patterns say of this module."""
        found: dict[str, Any] = {}
        for name, row in self.method.patterns.items():
            patterns = self.settings[row["field"]]
            if patterns and not ("unless" in row and self.settings[row["unless"]]):
                keys = self.settings.pattern_keys(row["field"])
                first = keys.first(module.path)
                key = module.path if first is None else keys.keys[first]
                found[name] = patterns.get(key, self.names[name])
        for name, field in self.method.matches.items():
            found[name] = self._is_meant(field, module.path)
        return found

    def _is_meant(self, field: str, path: str) -> bool:
        """`IA3Model._is_feedforward`-like: a pattern for the whole path, or names that it ends with."""
        value = self.settings[field]
        at = self.settings.where(field)
        if value is None:
            raise NotModelled("method-not-modelled", at=at, facts={"value": f"{self.method.peft_type} without {field}"})
        if isinstance(value, str):
            return full_match(value, path, at)
        return as_python_does(lambda: any(path.endswith(name) for name in value), "config-value-impossible", at, field)

    def _check(self, check: Check, names: Mapping[str, Any], module: Module) -> None:
        if self._ask(check.when, names, check.field):
            match = check.match.format_map({**names, "cls": module.cls})
            raise self._refuse(check.type, match, module, "config-value-impossible", check.field)

    def _ask(self, formula: str, names: Mapping[str, Any], field: str) -> Any:
        """A formula of the card, on whatever types the config has: what Python raises, PEFT raises."""
        at = self.settings.where(field) if field else self.settings.where("peft_type")
        try:
            return as_python_does(lambda: evaluate(formula, names), "config-value-impossible", at, field)
        except Unevaluable as problem:
            raise self._unclear(formula) from problem

    def _unclear(self, what: str) -> NotModelled:
        facts: dict[str, Fact] = {"value": f"{self.method.peft_type} with such values for {what}"}
        return NotModelled("method-not-modelled", at=self.settings.where("peft_type"), facts=facts)

    def _refuse(
        self, type_name: str, match: str, module: Module, reason: str, field: str = "target_modules"
    ) -> Refusal:
        shown = match.replace("{cls}", module.cls)
        facts: dict[str, Fact] = {"field": field, "class": module.cls}
        return Refusal(type_name, shown, reason, at=self.settings.where(field), module=module.path, facts=facts)


def _fits(module: Module, layers: frozenset[str]) -> bool:
    return module.kind in layers or "any" in layers


def layer_names(module: Module) -> dict[str, Any]:
    """The sizes that formulas may speak of: in, out, groups, kernel and what follows from it."""
    sizes = {"groups": 1, "kernel": (), "ones": (), **feature_sizes(module)}
    kernel = sizes["kernel"]
    sizes["kernel_size"] = math.prod(kernel)
    sizes["kernel_width"] = kernel[0] if kernel else 1
    sizes["kernel_pair"] = kernel if len(kernel) == 2 else (*kernel, 1)
    sizes["has_bias"] = "bias" in module.params
    sizes["embedding"] = module.kind == "Embedding"
    return sizes
