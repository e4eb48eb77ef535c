"""The plan: what is done with the adapters, in the contract's grammar."""

from __future__ import annotations

from adaptlint.named_tuple import NamedTuple

OPTIONS = ("low_cpu_mem_usage", "ignore_mismatched_sizes", "autocast_adapter_dtype", "is_trainable")
MODELLED = ("load", "set", "combine", "delete", "hotswap", "disable", "merge", "save")
RUNS = {"generate": ("num_beams", "num_return_sequences", "use_cache"), "backward": ("labels", "checkpointing")}
"""Steps that run the model with what is active, and their options: modelled for AdapterHub's library alone."""
OPERATIONS = (*MODELLED, *RUNS)


class PlanError(ValueError):
    """The plan is not in the grammar; the text says where."""


class Step(NamedTuple):
    """One step: the operation, the adapter's name, and the options given as NAME=VALUE."""

    op: str
    name: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def number(self, name: str) -> int:
        """The option as a number; 1 where it was not given. PlanError where it is none from 1 on."""
        told = dict(self.options).get(name, "1")
        if not told.isdecimal() or int(told) < 1:
            raise PlanError(f"{name} in step {self.op!r} is a number from 1 on, not {told!r}")
        return int(told)

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
        names = words[1:1] if words[0] in RUNS else words[1:2]
        options = tuple((k, v) for k, _, v in (word.partition("=") for word in words[1 + len(names) :]))
        known = {"load": OPTIONS, **RUNS}.get(words[0])
        unknown = [name for name, _ in options if known is not None and name not in known]
        if unknown:
            raise PlanError(f"unknown option {unknown[0]!r} in step {part.strip()!r}: {', '.join(known or ())}")
        steps.append(Step(words[0], "".join(names), options))
        for name in ("num_beams", "num_return_sequences"):
            steps[-1].number(name)
    return steps
