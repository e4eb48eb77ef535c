"""The Python programs that the bench times; each reads the model's and the adapter's folder from argv."""

from __future__ import annotations

# What stands in for adaptlint where nobody has it: the same load on the meta device.
PEFT_ON_META = """
import sys, warnings
warnings.simplefilter("ignore")
import torch, transformers, peft
config = transformers.AutoConfig.from_pretrained(sys.argv[1])
with torch.device("meta"):
    base = transformers.AutoModelForCausalLM.from_config(config)
peft.PeftModel.from_pretrained(base, sys.argv[2], low_cpu_mem_usage=True, torch_device="cpu")
"""

# The least that anybody who asks transformers for the shapes has to do.
META_BUILD = """
import sys
import torch, transformers
config = transformers.AutoConfig.from_pretrained(sys.argv[1])
with torch.device("meta"):
    base = transformers.AutoModelForCausalLM.from_config(config)
"""

# Prints the modules of a finished check that must not be there, and the peak resident memory in kB.
WATCHED = """
import resource, sys
from adaptlint.cli import run
run(["check", *sys.argv[1:]])
banned = "torch transformers numpy networkx jinja2 tabulate".split()
found = [name for name in banned if name in sys.modules]
print(f"@{','.join(found)}@{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}", file=sys.stderr)
"""

# The function that both of the following measure with.
MEDIAN = """
import statistics, time

def median(work, count):
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
"""

# Median seconds of a second and later check in one process, and of reading and parsing the two headers.
IN_PROCESS = (
    MEDIAN
    + """
import glob, json, os, struct, sys
import adaptlint

def headers():
    for path in [path for folder in sys.argv[1:3] for path in glob.glob(os.path.join(folder, "*.safetensors"))]:
        with open(path, "rb") as file:
            json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))

check = lambda: adaptlint.check(sys.argv[1], sys.argv[2])
check()
headers()
seconds = [(median(check, 1), median(headers, 1)) for _ in range(41)]  # turn about: what slows one slows the other
print(*map(statistics.median, zip(*seconds)))
"""
)

# Prints as JSON: seconds to record a family of two layers, to read its graph at 80 layers and to propagate that, and to
# propagate at each depth that argv[2:] names.
FLOW_IN_PROCESS = (
    MEDIAN
    + """
import json, sys
import torch, transformers
import transformers.models.llama.modeling_llama
from adaptlint.dataflow.flow_graph import read_graph
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.record import record

config = json.load(open(sys.argv[1]))
sizes = {"batch": 31, "seq": 37}

def text_of(layers):
    graph, doubt = record({**config, "num_hidden_layers": layers}, None, "sdpa")
    assert not doubt, doubt
    return json.dumps(graph.to_json(), default=str)

text_of(1)
started = time.perf_counter()
text_of(2)
told = {"record": time.perf_counter() - started}
text = text_of(80)
told["load"] = median(lambda: read_graph(json.loads(text)), 31)
graph = read_graph(json.loads(text))
told["propagate"] = median(lambda: propagate(graph, sizes), 31)
for depth in map(int, sys.argv[2:]):
    deep = read_graph(json.loads(text_of(depth)))
    told[f"depth {depth}"] = median(lambda: propagate(deep, sizes), 31)
print(json.dumps(told))
"""
)
