"""`python -m tests.repair.consumers.mlx_models [TYPE ...]`: which models are called the same in mlx_lm.

Small models of every type that both have are built by both; writes adaptlint/repair/mlx_models.toml.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path
from typing import Any

from adaptlint.bases import Base, load_base
from tests.conftest import ROOT
from tests.repair.consumers.environments import played

TABLE = ROOT / "adaptlint" / "repair" / "mlx_models.toml"
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 96,
    "max_position_embeddings": 64,
    "rope_theta": 10000.0,
    "pad_token_id": 0,
}
MLX = "mlx-lm-0.32.2"
LAYER = re.compile(r"model\.layers\.\d+\.")
HEAD = """\
# Model types whose linear layers in model.layers have the same names and sizes in mlx_lm 0.32.2 as in transformers.
# Written by `make mlx-models`, which builds small models of both.
"""


def candidates() -> dict[str, dict[str, Any]]:
    """Configs by model type: every text model with a causal head."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    found = {}
    for kind, name in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()):
        try:
            config = AutoConfig.for_model(kind, **SMALL).to_dict()
        except Exception:  # noqa: S112 - a type that cannot be made so small is not asked about
            continue
        head = name if isinstance(name, str) else name[0]
        found[kind] = {**SMALL, **json.loads(json.dumps(config, default=str)), "architectures": [head]}
    return found


def ours(config: dict[str, Any]) -> dict[str, list[int]]:
    """The linear layers by transformers; none where the base cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        base = load_base(folder, cache=False, offline=True)
    if not isinstance(base, Base):
        return {}
    return {m.path: list(m.params["weight"]) for m in base.modules if m.kind == "Linear" and LAYER.match(m.path)}


def main() -> None:
    """Compare, say what differs, write the table."""
    configs = candidates()
    asked = sys.argv[1:] or [*configs]
    known = tomllib.loads(TABLE.read_text(encoding="utf-8"))["same_names"]
    same = [kind for kind in known if kind not in asked]
    for kind in played(MLX, "play_mlx_layers.py", asked):
        config = configs[kind]
        try:
            answer = played(MLX, "play_mlx_layers.py", config)
        except AssertionError:  # a size that ends MLX's process
            continue
        if "problem" in answer:
            continue
        theirs = {name: shape for name, shape in answer["linear"].items() if LAYER.match(name)}
        mine = ours(config)
        if mine and mine == theirs:
            same.append(kind)
        else:
            only = sorted(mine.keys() ^ theirs.keys())[:3]
            print(f"{kind}: differs ({len(mine)} and {len(theirs)} layers; {only})")
    lines = "".join(f'  "{kind}",\n' for kind in sorted(same))
    TABLE.write_text(f"{HEAD}same_names = [\n{lines}]\n")
    print(f"{len(same)} model types are the same")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
