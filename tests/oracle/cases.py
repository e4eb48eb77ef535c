"""A recorded case as the arguments of `adaptlint.check`."""

from __future__ import annotations

from typing import Any

Case = dict[str, Any]

LOADS = ("from_pretrained", "load_adapter", "tf_load_adapter")
PLAIN_OPTIONS = {"low_cpu_mem_usage", "ignore_mismatched_sizes", "autocast_adapter_dtype", "is_trainable"}
WORDS = {"set_adapter": "set", "delete_adapter": "delete"}
KNOWN = {*LOADS, *WORDS, "add_weighted_adapter", "hotswap"}


def steps(case: Case) -> list[dict[str, Any]]:
    """The calls of a case; without any it is one plain `from_pretrained`."""
    return case.get("steps") or [{"op": "from_pretrained", "path": "adapter", "name": "default"}]


def comparable(case: Case) -> bool:
    """True if adapters, a plan and plain options can say what the case does; PeftMixedModel is another class."""
    return "peft_cls" not in case and all(
        step["op"] in KNOWN and not (step["op"] in LOADS[:2] and set(step.get("kwargs") or ()) - PLAIN_OPTIONS)
        for step in steps(case)
    )


def target(case: Case) -> str:
    """The library whose call loads the adapter."""
    return "transformers" if any(step["op"] == "tf_load_adapter" for step in steps(case)) else "peft"


def adapters(case: Case) -> list[tuple[str, str]]:
    """Name and folder of every adapter, in load order."""
    found = []
    for step in steps(case):
        if step["op"] in LOADS:
            found.append((step.get("name") or "default", step.get("path", "adapter")))
        elif step["op"] == "hotswap":
            found.append((step["path"], step["path"]))
    return found


def plan(case: Case) -> str | None:
    """The plan in the contract's grammar; None where it is just to load each adapter."""
    words = [plan_step(step) for step in steps(case)]
    return None if words == [f"load {name}" for name, _ in adapters(case)] else "; ".join(words)


def plan_step(step: dict[str, Any]) -> str:
    """One step of the plan."""
    op, name, options = step["op"], step.get("name") or "default", step.get("kwargs") or {}
    if op in LOADS:
        return " ".join(["load", name, *(f"{key}={str(value).lower()}" for key, value in options.items())])
    if op == "hotswap":
        return f"hotswap {name} {step['path']}"
    if op == "add_weighted_adapter":
        weights = [f"{each}={weight}" for each, weight in zip(options["adapters"], options["weights"], strict=False)]
        density = [f"density={options['density']}"] if "density" in options else []
        return " ".join(
            ["combine", options["adapter_name"], options.get("combination_type", "svd"), *weights, *density]
        )
    return f"{WORDS[op]} {name}"
