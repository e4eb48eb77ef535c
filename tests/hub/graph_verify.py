"""`PYTHON -m tests.hub.graph_verify`: every table of the installed release against recordings of fresh configs.

Run in a release's own environment (`make hub-graphs-verify` does so for each). `--seed` draws other configs; without it
they are others every time.
"""

from __future__ import annotations

import argparse
import sys
from random import Random, SystemRandom

from adaptlint.runtimes.adapters.recorded import read_table
from tests.hub.graph_classes import nested
from tests.hub.graph_heads import HEADS, headed
from tests.hub.graph_learn import Learner
from tests.hub.graph_record import Recorder
from tests.hub.graph_specs import SPECS, Spec


def disagreements(spec: Spec, release: str, seed: int) -> list[str]:
    """What a table says of fresh configs that is not so, and configs of its own variants that it has no graph for."""
    table = read_table(release, spec.model_type)
    if table is None or spec.model_class not in table["classes"]:
        return []
    recorder = Recorder(spec, release, table["transformers"], seed)
    found: list[str] = []
    for variant in spec.variants:
        entry = next(
            (one for one in table["classes"][spec.model_class]["variants"] if one["when"] == [*variant.when]), None
        )
        if entry is None:
            continue
        one = {**table, "classes": {spec.model_class: {"variants": [entry]}}}
        learner = Learner(spec, variant, recorder.known, Random(seed))
        for what, config, must in learner.fresh():
            wrong = recorder.disagreements(one, nested(spec, config), must)
            found += [f"{spec.model_type} {key}, {what}: {why} ({config})" for key, why in wrong.items()]
    return found


def main() -> None:
    """Verify; the exit status is 1 where a table is wrong."""
    import adapters  # type: ignore[import-not-found, unused-ignore]

    parser = argparse.ArgumentParser()
    parser.add_argument("types", nargs="*")
    parser.add_argument("--heads", action="store_true", help="classes with a head in the place of the bare models")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    print(f"adapters {adapters.__version__}, seed {asked.seed}", flush=True)
    wrong = 0
    chosen = [spec for spec in SPECS if not asked.types or spec.model_type in asked.types]
    heads = [headed(spec, name) for spec in chosen for name in HEADS.get(spec.model_type, ())]
    for spec in heads if asked.heads else chosen:
        found = disagreements(spec, adapters.__version__, asked.seed)
        print(*[f"{spec.model_class}: {'ok' if not found else ''}", *found], sep="\n    ", flush=True)
        wrong += len(found)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
