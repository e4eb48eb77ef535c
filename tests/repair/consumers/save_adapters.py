"""What AdapterHub's `save_adapter` writes for a LoRA: the config, and the tensors with types and shapes."""

import json
import sys
import tempfile

import adapters
import torch
import transformers

asked = json.load(sys.stdin)
config = transformers.AutoConfig.from_pretrained(asked["config"])
model = getattr(transformers, asked["class"])(config)
adapters.init(model)
model.add_adapter("default", config=adapters.LoRAConfig(**asked["lora"]))
with tempfile.TemporaryDirectory() as folder:
    model.save_adapter(folder, "default")
    with open(f"{folder}/adapter_config.json") as stream:
        written = json.load(stream)
    state = torch.load(f"{folder}/pytorch_adapter.bin", weights_only=True)
tensors = {name: [str(value.dtype), list(value.shape)] for name, value in state.items()}
print(json.dumps({"config": {**written, "model_name": None}, "tensors": tensors}))
