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

# Median seconds of a second and later check in one process, and of reading and parsing the two headers.
IN_PROCESS = """
import glob, json, os, statistics, struct, sys, time
import adaptlint

def headers():
    for path in [path for folder in sys.argv[1:3] for path in glob.glob(os.path.join(folder, "*.safetensors"))]:
        with open(path, "rb") as file:
            json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))

def median(work, count):
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)

check = lambda: adaptlint.check(sys.argv[1], sys.argv[2])
check()
headers()
print(median(check, 15), median(headers, 15))
"""
