"""No input may cost more memory than the bound, whatever else the test process holds already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

MEMORY = 300 << 20  # bytes of address space above what the process has when the fuzzing starts


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    """A larger allocation raises MemoryError in the reader, which no test forgives."""
    resource = pytest.importorskip("resource")
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
