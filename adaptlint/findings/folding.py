"""Many paths said as one: `model.layers.{0-31}.self_attn.q_proj`."""

from __future__ import annotations

from collections.abc import Iterable


def number_ranges(numbers: Iterable[int]) -> str:
    """Sorted, distinct integers as ranges: 0, 1, 2, 5 -> "0-2,5"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def range_numbers(ranges: str) -> list[int]:
    """The inverse of `number_ranges`: "0-2,5" -> [0, 1, 2, 5]."""
    numbers: list[int] = []
    for run in ranges.split(","):
        first, _, last = run.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def path_shape(path: str) -> tuple[str, tuple[int, ...]]:
    """A dotted path with its numeric segments taken out: ("model.layers.*.mlp", (3,))."""
    numbers: list[int] = []
    parts: list[str] = []
    for part in path.split("."):
        if part.isdecimal() and part.isascii() and len(part) < 9:
            numbers.append(int(part))
            parts.append("*")
        else:
            parts.append(part)
    return ".".join(parts), tuple(numbers)


def fold_paths(paths: Iterable[str]) -> list[str]:
    """Paths that differ only in one numeric segment said as one, in order of first appearance."""
    groups: dict[tuple[str, tuple[int, ...]], set[int]] = {}
    for path in paths:
        shape, numbers = path_shape(path)
        groups.setdefault((shape, numbers[1:]), set()).update(numbers[:1])
    folded: list[str] = []
    for (shape, rest), first in groups.items():
        slots = ["{" + number_ranges(first) + "}" if len(first) > 1 else str(*first)] if first else []
        slots += [str(number) for number in rest]
        parts = [slots.pop(0) if part == "*" and slots else part for part in shape.split(".")]
        folded.append(".".join(parts))
    return folded


def unfold_path(path: str, limit: int = 10_000) -> list[str]:
    """The inverse of `fold_paths` for one path: "layers.{0-1}.q" -> layers.0.q, layers.1.q.

    One that stands for more than `limit` paths is left as it is.
    """
    paths = [""]
    for part in path.split("."):
        inner = part[1:-1]
        numbers = range_numbers(inner) if _is_ranges(part, limit) else []
        if len(paths) * len(numbers) > limit:
            return [path]
        choices = [str(number) for number in numbers] or [part]
        paths = [f"{head}.{each}" for head in paths for each in choices]
    return [each[1:] for each in paths]


def _is_ranges(part: str, limit: int) -> bool:
    if not (part.startswith("{") and part.endswith("}")):
        return False
    runs = [run.partition("-") for run in part[1:-1].split(",")]
    fine = all(first.isdecimal() and first.isascii() and (last or first).isdecimal() for first, _, last in runs)
    return fine and all(len(first) < 9 and int(last or first) - int(first) < limit for first, _, last in runs)
