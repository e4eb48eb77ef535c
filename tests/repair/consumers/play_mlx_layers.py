"""The linear layers of an mlx_lm model with their shapes, or why it has none."""

import json
import sys
from importlib.util import find_spec

import mlx.nn as nn
from mlx_lm.utils import MODEL_REMAPPING, _get_classes

config = json.load(sys.stdin)
if isinstance(config, list):  # model types: those that there are
    print(json.dumps([name for name in config if find_spec(f"mlx_lm.models.{MODEL_REMAPPING.get(name, name)}")]))
    sys.exit()
try:
    kind, settings = _get_classes(config)
    model = kind(settings.from_dict(config))
    rows = {name: list(part.weight.shape) for name, part in model.named_modules() if type(part) is nn.Linear}
    print(json.dumps({"layers": len(model.layers), "linear": rows}))
except Exception as problem:
    print(json.dumps({"problem": f"{type(problem).__name__}: {problem}"[:200]}))
