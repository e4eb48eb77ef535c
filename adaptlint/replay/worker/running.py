"""A worker from its job to its last word."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from typing import Any

from . import guards, reference_kernels
from .models import SEEDS, Unreadable
from .telling import Channel, out_of_memory
from .tolerances import tolerance_of

Job = dict[str, Any]
LIBRARIES = ("torch", "transformers", "peft", "adapters", "safetensors", "numpy", "flash_attn")


def main(path: str) -> None:
    """Run the job in the file and tell every observation; the process ends here, whatever happened."""
    with open(path, encoding="utf-8") as stream:
        job: Job = json.load(stream)
    guards.die_with_parent(job["parent"])
    guards.keep_quiet()
    hidden = {each["folder"]: "<{}>".format(each["name"]) for each in job["adapters"]}
    weights = job["base"].get("weights")
    channel = Channel({**hidden, **({os.path.abspath(weights): "<base>", weights: "<base>"} if weights else {})})
    started = time.time()
    try:
        guards.limit_memory(job["memory"], job["device"])
        if prepared(job, channel):
            conduct(job, channel)
    except Unreadable as problem:
        channel.say("refused", reason="weights", error=channel.told(problem))
    except Exception as problem:
        channel.say("failed", error=channel.told(problem), out_of_memory=out_of_memory(problem))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    on_device = guards.peak_on(job["device"])
    channel.say("done", seconds=round(time.time() - started, 3), peak_memory=peak, peak_device_memory=on_device)
    sys.stdout.flush()
    os._exit(0)  # libraries' threads are not waited for


def prepared(job: Job, channel: Channel) -> bool:
    """Import what the job needs and tell the versions; False where a library is not the one, or there is no device."""
    import platform

    channel.say("environment", python=platform.python_version(), platform=platform.system() + " " + platform.machine())
    for name in ("torch", "transformers", job["target"]["library"]):
        try:
            __import__(name)
        except Exception as problem:
            channel.say("refused", reason="library-missing", library=name, error=channel.error(problem))
            return False
        if name == "transformers":
            reference_kernels.stand_in(job)
    versions = versions_of()
    channel.say("versions", **versions)
    wanted, found = job["target"]["version"], versions.get(job["target"]["library"])
    if wanted and found != wanted:
        told = {"library": job["target"]["library"], "wanted": wanted, "found": found}
        channel.say("refused", reason="other-release", **told)
        return False
    return has_device(job, channel)


def versions_of() -> dict[str, str]:
    """The releases of what is loaded."""
    found = {name: getattr(sys.modules.get(name), "__version__", None) for name in LIBRARIES}
    return {name: str(version) for name, version in found.items() if version}


def has_device(job: Job, channel: Channel) -> bool:
    """Whether torch can use the job's device here; quiets and seeds the libraries as well."""
    import torch
    import transformers

    guards.forbid_pickles(torch)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(job["threads"])
    device = job["device"]
    if device in ("meta", "cpu"):
        return True
    if not is_there(torch, device):
        channel.say("refused", reason="no-device", device=device, torch=torch.__version__)
        return False
    if device.startswith("cuda"):
        channel.say("device", name=torch.cuda.get_device_name(device), cuda=torch.version.cuda)
        guards.steady(torch, job["memory"], device)
    return True


def is_there(torch: Any, device: str) -> bool:
    """Whether torch has this device here: cuda, cuda:1, mps or xpu."""
    name, _, number = device.partition(":")
    places: list[Any] = [getattr(place, name, None) for place in (torch.backends, torch)]
    asked = [place.is_available for place in places if hasattr(place, "is_available")]  # torch.mps has no such function
    if not asked or not all(available() for available in asked):
        return False
    return name != "cuda" or int(number or 0) < int(torch.cuda.device_count())


def conduct(job: Job, channel: Channel) -> None:
    """What the job's library is to do."""
    channel.say("seeds", **SEEDS)
    channel.say("tolerance", **tolerance_of(job))
    if job["target"]["library"] == "peft":
        from .cutting import cut_adapters
        from .peft_run import PeftRun
        from .remaking import remake_adapters

        with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
            if job["scale"] == "layer":
                cut_adapters(job, place)
            elif job["scale"] == "tiny":
                remake_adapters(job, place)
            examined(job, channel, PeftRun(job, channel).run())
    elif job["target"]["library"] == "transformers":
        from .integration import run_integration
        from .remaking import remake_adapters

        with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
            if job["scale"] == "tiny":
                remake_adapters(job, place)
            run_integration(job, channel)
    else:
        from .hub_run import run_hub

        examined(job, channel, run_hub(job, channel))


def examined(job: Job, channel: Channel, model: Any) -> None:
    """The invariants that the job asks for, where there is a model with numbers to ask them of."""
    if model is not None and job["invariants"] and (job["scale"] in ("layer", "full") or job.get("remade")):
        from .invariants import examine

        examine(job, channel)
