"""Outputs of a transformers model with an adapter that AdapterHub's library has loaded."""

import json
import sys

import adapters
import torch
import transformers
from safetensors.torch import load_file

asked = json.load(sys.stdin)
config = transformers.AutoConfig.from_pretrained(asked["config"])
model = getattr(transformers, asked["class"])(config).eval()
missing = model.load_state_dict(load_file(asked["weights"]), strict=False).missing_keys
assert not [name for name in missing if not name.endswith("position_ids")], missing
adapters.init(model)
info = {}
name = model.load_adapter(asked["adapter"], loading_info=info, set_active=True)
model.eval()
with torch.no_grad():
    out = model(torch.tensor([asked["ids"]]))[0]
print(json.dumps({"name": name, "out": out.flatten().tolist(), "told": {k: list(v) for k, v in info.items()}}))
