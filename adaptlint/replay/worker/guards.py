"""What a worker may not do: use more memory than it was given, outlive its parent, unpickle, or ask the network."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

ROOM = 3 << 30  # address space beyond the tensors: torch, transformers and a library map less than 1 GiB of it
ROOM_ON_GPU = 1 << 30  # for the workspaces of kernels and what the caching allocator holds
PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """On Linux a worker whose parent is killed gets SIGKILL; elsewhere it notices when it next says something."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before this line
        os._exit(1)


def limit_memory(memory: int, device: str) -> None:
    """Bytes of tensors; not for devices whose drivers map far more than they use."""
    if device not in ("cpu", "meta"):
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory + ROOM, memory + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_quiet() -> None:
    """No network, no telemetry; torch's own guard against pickles where it has one."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
        os.environ[name] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def forbid_pickles(torch: Any) -> None:
    """`torch.load` reads weights only, whatever a library asks of it: releases before 2.6 unpickle by default."""
    load = torch.load

    def weights_only(*args: Any, **options: Any) -> Any:
        options["weights_only"] = True
        return load(*args, **options)

    torch.load = weights_only


def steady(torch: Any, memory: int, device: str) -> None:
    """Bytes of tensors on a GPU, beyond which torch raises; float32 is computed in float32, and not in TF32.

    torch 2.13 sets a device, and its share of memory, by number alone (cuda/_utils.py, _get_device_index).
    """
    number = torch.device(device).index or 0
    torch.cuda.set_device(number)
    total = torch.cuda.get_device_properties(number).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, float(memory + ROOM_ON_GPU) / total), number)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def peak_on(device: str) -> int | None:
    """The most bytes of tensors that a GPU held; None for other devices, and where torch was never loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated(device))
