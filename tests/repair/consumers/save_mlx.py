"""What mlx_lm.lora writes: the tensors that its trainer saves, and their file's metadata."""

import json
import struct
import sys
import tempfile

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import _get_classes

asked = json.load(sys.stdin)
with open(asked["config"]) as stream:
    kind, settings = _get_classes(config := json.load(stream))
model = kind(settings.from_dict({"rms_norm_eps": 1e-6, **config}))
model.freeze()
linear_to_lora_layers(model, asked["num_layers"], asked["lora"])
weights = dict(tree_flatten(model.trainable_parameters()))
with tempfile.TemporaryDirectory() as folder:
    mx.save_safetensors(f"{folder}/adapters.safetensors", weights)
    with open(f"{folder}/adapters.safetensors", "rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
metadata = header.pop("__metadata__", None)
tensors = {name: [row["dtype"], row["shape"]] for name, row in header.items()}
print(json.dumps({"metadata": metadata, "tensors": tensors}))
