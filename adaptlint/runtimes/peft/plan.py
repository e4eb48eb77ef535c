"""The plan: what is done with the adapters, in the contract's grammar."""

from __future__ import annotations

from adaptlint.named_tuple import NamedTuple

OPTIONS = ("low_cpu_mem_usage", "ignore_mismatched_sizes", "autocast_adapter_dtype", "is_trainable")
OPERATIONS = ("load", "set", "combine", "delete", "hotswap", "disable", "merge", "save")
MODELLED = OPERATIONS


class PlanError(ValueError):
    """The plan is not in the grammar; the text says where."""


class Step(NamedTuple):
    """One step: the operation, the adapter's name, and the options given as NAME=VALUE."""

    op: str
    name: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> bool:
        """True if the option was given as true."""
        return dict(self.options).get(name, "false").lower() == "true"


def default_plan(names: list[str], composed: bool = False) -> list[Step]:
    """Each adapter is loaded; of several each is then activated, the first one last, unless a composition follows."""
    loads = [Step("load", name) for name in names]
    if len(names) < 2 or composed:
        return loads
    return [*loads, *(Step("set", name) for name in (*names[1:], names[0]))]


def parse_plan(text: str) -> list[Step]:
    """Steps separated by ";"; PlanError names the step that is not in the grammar."""
    steps = []
    for part in text.split(";"):
        words = part.split()
        if not words:
            continue
        if words[0] not in OPERATIONS:
            raise PlanError(f"unknown step {part.strip()!r}: a step starts with one of {', '.join(OPERATIONS)}")
        options = tuple((k, v) for k, _, v in (word.partition("=") for word in words[2:]))
        if words[0] == "load":
            unknown = [name for name, _ in options if name not in OPTIONS]
            if unknown:
                raise PlanError(f"unknown option {unknown[0]!r} in step {part.strip()!r}: {', '.join(OPTIONS)}")
        steps.append(Step(words[0], words[1] if len(words) > 1 else "", options))
    return steps
