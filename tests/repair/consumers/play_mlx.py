"""Outputs of an mlx_lm model with an adapter that mlx_lm has loaded."""

import json
import sys

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import _get_classes

asked = json.load(sys.stdin)
with open(asked["config"]) as stream:
    kind, settings = _get_classes(config := json.load(stream))
model = kind(settings.from_dict(config))
weights = mx.load(asked["weights"])
weights = model.sanitize(weights) if hasattr(model, "sanitize") else weights
model.load_weights(list(weights.items()))
load_adapters(model, asked["adapter"])
model.eval()
out = model(mx.array([asked["ids"]]))
places = [name for name, _ in tree_flatten(model.parameters()) if name.endswith(("lora_a", "lora_b"))]
print(json.dumps({"places": places, "out": out.flatten().tolist()}))
