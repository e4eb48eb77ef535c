"""Arguments of a check that no file could mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BACKENDS = ("eager", "sdpa", "flash_attention_2", "flex_attention")
MASKS = ("none", "padded")
VALUES = ("none", "sample", "full")


def refuse_wrong_arguments(values: str, attn: str | None, mask: str | None, sizes: Mapping[str, int | None]) -> None:
    """Raise ValueError, in one sentence, for the first argument that is none of what it may be."""
    if values not in VALUES:
        raise ValueError(f"values is none, sample or full, not {values!r}")
    if attn is not None and attn not in BACKENDS:
        raise ValueError(f"attn is {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}, not {attn!r}")
    if mask is not None and mask not in MASKS:
        raise ValueError(f"mask is none or padded, not {mask!r}")
    for name, size in sizes.items():
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"{name} is a number from 1 on, not {size!r}")


def refuse_wrong_composition(text: str | None, targets: Sequence[str]) -> None:
    """Raise ExpressionError, a ValueError that knows the column, for a text that is no composition of every target."""
    if text is not None:
        from adaptlint.runtimes.adapters.composition import read_composition

        read_composition(text, in_peft=all(target.partition("==")[0] == "peft" for target in targets))


def refuse_wrong_interpreter(python: str | None, targets: Sequence[str]) -> None:
    """Raise ValueError, in one sentence, unless the interpreter has AdapterHub's library in a release asked for."""
    if python is None:
        return
    asked = [target.partition("==")[2] for target in targets if target.partition("==")[0] == "adapters"]
    if not asked:
        raise ValueError("python is for the target adapters: the interpreter that has AdapterHub's library")
    from adaptlint.runtimes.adapters.elsewhere import refuse_other_release

    for release in asked:
        refuse_other_release(python, release)
