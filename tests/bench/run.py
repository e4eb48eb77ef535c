"""`python -m tests.bench.run [--markdown]`: what a check costs, beside what it replaces, and beside our bars.

Whole processes of this interpreter, on the package as pip installs it from its wheel; medians after a warm-up, all in
one run. It measures and prints; it is not a test.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adaptlint.testing import Built, build, read_recipe
from tests.bench.case import write_case
from tests.bench.scripts import FLOW_IN_PROCESS, IN_PROCESS, META_BUILD, PEFT_ON_META, WATCHED

LLAMA_70B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
DEPTHS = (1, 8, 32, 126)
ROOT = Path(__file__).resolve().parent.parent.parent
LLAMA_PARALLEL = ROOT / "fixtures" / "stories" / "llama-parallel"
PAIR = "Parallel(a, b)"
COMPOSED = (
    ("two LoRAs in parallel, warm", "1.0.0", 32, PAIR),
    ("two LoRAs in parallel, warm", "1.3.0", 32, PAIR),
    ("the same on 8 layers", "1.3.0", 8, PAIR),
    ("the same on 126 layers", "1.3.0", 126, PAIR),
    ("four LoRAs in parallel", "1.3.0", 32, "Parallel(a, b, c, d)"),
    ("eight LoRAs in parallel", "1.3.0", 32, "Parallel(a, b, c, d, e, f, g, h)"),
    ("a stack of two beside one", "1.3.0", 32, "Parallel(a, Stack(b, c))"),
)  # what, release of adapters, layers, composition
TINY = ROOT / "fixtures" / "bases" / "tiny-llama"


class Line(NamedTuple):
    """One row of the table; `bar` is what we promise."""

    what: str
    measured: str
    ratio: str
    bar: str
    holds: bool | None


def install(site: Path) -> None:
    """Put the wheel into a folder that the processes started from here on import it from."""
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(ROOT)], check=True)
    os.environ["PYTHONPATH"] = os.pathsep.join((str(site), str(ROOT)))
    os.chdir(site)


def spent(commands: Sequence[list[str]], runs: int, fresh_cache: int = -1) -> list[float]:
    """Median seconds of each command as a process, in turns, after one that warms the file cache.

    The command numbered `fresh_cache` finds an empty cache each time.
    """
    times: list[list[float]] = [[] for _ in commands]
    for turn in range(runs + 1):
        for number, command in enumerate(commands):
            with tempfile.TemporaryDirectory() as cache:
                seconds = once(command, cache if number == fresh_cache else None)
            if turn:
                times[number].append(seconds)
    return [statistics.median(each) for each in times]


def once(command: list[str], cache: str | None) -> float:
    """Seconds of one run; RuntimeError if it ended otherwise than clean or with findings."""
    settings = {**os.environ, **({"ADAPTLINT_CACHE": cache} if cache else {})}
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise RuntimeError(f"{command[1:4]} ended with {done.returncode}: {done.stderr[-800:]}")
    return seconds


def python(code: str, case: Built) -> list[str]:
    """A command that runs the program on the case."""
    return [sys.executable, "-c", code, case.model, case.adapter]


def output(command: list[str]) -> tuple[str, str]:
    """What the command prints to both streams."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


def warm(case: Built, runs: int) -> list[Line]:
    """The warm check beside an empty Python and beside PEFT on the meta device; its memory and imports."""
    ours = [sys.executable, "-m", "adaptlint", "check", case.model, case.adapter]
    check, empty = spent([ours, [sys.executable, "-c", "pass"]], 6 * runs)
    (peft,) = spent([python(PEFT_ON_META, case)], runs)
    told = output(python(WATCHED, case))[1].rpartition("\n@")[2] or "@@0"
    banned, _, kilobytes = told.strip().strip("@").rpartition("@")
    memory = int(kilobytes) / 1024
    return [
        Line("python -c pass", f"{1000 * empty:.0f} ms", "", "", None),
        Line("warm check", f"{1000 * check:.0f} ms", f"{check / empty:.1f}x pass", "at most 7x", check <= 7 * empty),
        Line("PEFT on meta", f"{peft:.2f} s", f"{peft / check:.0f}x the check", "at least 60x", peft >= 60 * check),
        Line("peak memory", f"{memory:.0f} MB", "", "under 40 MB", memory < 40),
        Line("heavy imports", banned or "none", "", "none", not banned),
    ]


def every_method(folder: Path, runs: int) -> list[Line]:
    """A warm check of one adapter of each method; the slowest is told."""
    made = output([sys.executable, "-m", "tests.bench.methods", str(folder)])[0]
    adapters: dict[str, str] = json.loads(made.splitlines()[-1])
    check = [sys.executable, "-m", "adaptlint", "check", str(TINY)]
    *seconds, empty = spent([*([*check, path] for path in adapters.values()), [sys.executable, "-c", "pass"]], runs)
    slowest, name = max(zip(seconds, adapters, strict=True))
    what = f"slowest of {len(adapters)} methods ({name})"
    ratio = f"{slowest / empty:.1f}x pass"
    return [Line(what, f"{1000 * slowest:.0f} ms", ratio, "at most 7x", slowest <= 7 * empty)]


def cold(case: Built, runs: int) -> list[Line]:
    """The first check of a base, from its config alone, beside the plain meta build."""
    ours = [sys.executable, "-m", "adaptlint", "check", case.model, case.adapter]
    check, build = spent([ours, python(META_BUILD, case)], runs, fresh_cache=0)
    return [
        Line("meta build alone", f"{build:.2f} s", "", "", None),
        Line("cold check", f"{check:.2f} s", f"{check / build:.2f}x", "at most 1.3x", check <= 1.3 * build),
    ]


def again(case: Built) -> list[Line]:
    """A later check in one process beside reading and parsing both headers."""
    check, headers = map(float, output(python(IN_PROCESS, case))[0].split())
    ratio = check / headers
    return [
        Line("read and parse the headers", f"{1000 * headers:.1f} ms", "", "", None),
        Line("second check in one process", f"{1000 * check:.1f} ms", f"{ratio:.1f}x", "at most 10x", ratio <= 10),
    ]


def compositions(folder: Path, runs: int) -> list[Line]:
    """A warm check of Llama-3-8B with LoRAs side by side; its cost against layers, adapters and depth of the tree."""
    commands = [composed(folder / str(number), *row[1:]) for number, row in enumerate(COMPOSED)]
    *seconds, empty = spent([*commands, [sys.executable, "-c", "pass"]], runs)
    lines = []
    for (what, release, layers, members), each in zip(COMPOSED, seconds, strict=True):
        bar = layers == 32 and members == PAIR
        holds = each <= 7 * empty if bar else None
        told = f"{what} (adapters {release})"
        lines.append(
            Line(told, f"{1000 * each:.0f} ms", f"{each / empty:.1f}x pass", "at most 7x" if bar else "", holds)
        )
    return lines


def composed(folder: Path, release: str, layers: int, members: str) -> list[str]:
    """The command that checks a composition of LoRAs on a Llama-3-8B of so many layers; it writes their files."""
    text = (LLAMA_PARALLEL / "recipe.toml").read_text().replace("{0-31}", f"{{0-{layers - 1}}}")
    built = build(read_recipe(text), str(folder), bases=str(LLAMA_PARALLEL))
    config = json.loads((Path(built.model) / "config.json").read_text())
    base = folder / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
    adapters = [f"{name}={built.adapter}" for name in sorted(set(re.findall(r"\b[a-z]\b", members)))]
    target = ["--target", f"adapters=={release}", "--model-class", "LlamaModel", "--attn", "sdpa"]
    return [sys.executable, "-m", "adaptlint", "check", str(base), *adapters, *target, "--compose", members]


def flows(folder: Path, runs: int) -> list[Line]:
    """A forward from a shipped and a cached graph as whole processes, and its parts, at the widths of Llama-70B."""
    folder.mkdir()
    config, unshipped = folder / "config.json", folder / "more.json"
    config.write_text(json.dumps(LLAMA_70B))
    unshipped.write_text(json.dumps({**LLAMA_70B, "output_attentions": True}))
    graphs = [
        [sys.executable, "-m", "adaptlint", "graph", str(path), "--flow", "--format", "json"]
        for path in (config, unshipped)
    ]
    once(graphs[1], None)
    shipped, whole, empty = spent([*graphs, [sys.executable, "-c", "pass"]], 2 * runs)
    command = [sys.executable, "-W", "ignore", "-c", FLOW_IN_PROCESS, str(config), *map(str, DEPTHS)]
    told: dict[str, float] = json.loads(output(command)[0].splitlines()[-1])
    shallow, deep = (told[f"depth {depth}"] for depth in (DEPTHS[0], DEPTHS[-1]))
    depths = ", ".join(f"{1000 * told[f'depth {depth}']:.1f}" for depth in DEPTHS)
    parts = [("read the graph", "load", 0.001), ("propagate 80 layers", "propagate", 0.002), ("record", "record", 1.0)]
    ratio, ours = f"{whole / empty:.1f}x pass", f"{shipped / empty:.1f}x pass"
    return [
        Line("flow from a shipped graph", f"{1000 * shipped:.0f} ms", ours, "at most 7x", shipped <= 7 * empty),
        Line("flow from a cached graph", f"{1000 * whole:.0f} ms", ratio, "at most 7x", whole <= 7 * empty),
        *(
            Line(f"{what} (70B)", f"{1000 * told[key]:.1f} ms", "", f"under {1000 * bar:.0f} ms", told[key] < bar)
            for what, key, bar in parts
        ),
        Line(f"propagate {', '.join(map(str, DEPTHS))} layers", f"{depths} ms", f"{deep / shallow:.2f}x", "", None),
    ]


def table(lines: list[Line], markdown: bool) -> str:
    """The rows, as aligned text or as a Markdown table."""
    words = {True: "yes", False: "NO", None: ""}
    rows = [("what", "measured", "ratio", "bar", "holds"), *((*line[:4], words[line.holds]) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    cells = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    if not markdown:
        return "\n".join("  ".join(row).rstrip() for row in cells)
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main() -> None:
    """Write the case, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="adaptlint-") as folder:
        install(Path(folder) / "site")
        os.environ["ADAPTLINT_CACHE"] = str(Path(folder) / "cache")
        whole = write_case(ROOT, Path(folder) / "whole", headers=True)
        bare = write_case(ROOT, Path(folder) / "bare", headers=False)
        methods = every_method(Path(folder) / "methods", options.runs)
        lines = [*warm(whole, options.runs), *methods, *cold(bare, options.runs), *again(whole)]
        lines += compositions(Path(folder) / "compositions", options.runs)
        lines += flows(Path(folder) / "flows", options.runs)
    print(table(lines, options.markdown))


if __name__ == "__main__":
    main()
