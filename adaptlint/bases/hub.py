"""Hub ids: the snapshot that lies in the local cache first, the network only when allowed."""

from __future__ import annotations

import os
import re

from adaptlint.bases.base import BaseProblem

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


def find_snapshot(ref: str, offline: bool) -> str | BaseProblem:
    """Folder of the cached `main` snapshot of a hub id; fetched (config and header index only) unless `offline`."""
    if not _HUB_ID.fullmatch(ref) or ".." in ref or "--" in ref:
        return BaseProblem("base-not-found", {"ref": ref[:200]})
    repository = os.path.join(_hub_cache(), "models--" + ref.replace("/", "--"))
    found = _snapshot(repository)
    if found is None and not offline:
        problem = _download(ref)
        if problem is not None:
            return problem
        found = _snapshot(repository)
    return found or BaseProblem("base-not-found", {"ref": ref, "hub_cache": repository, "offline": offline})


def _hub_cache() -> str:
    """As huggingface_hub finds its cache."""
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if chosen:
        return os.path.expanduser(chosen)
    shared = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    home = os.environ.get("HF_HOME") or os.path.join(shared, "huggingface")
    return os.path.join(os.path.expanduser(home), "hub")


def _snapshot(repository: str) -> str | None:
    try:
        with open(os.path.join(repository, "refs", "main"), encoding="ascii") as stream:
            commit = stream.read(100).strip()
    except (OSError, ValueError):
        return None
    folder = os.path.join(repository, "snapshots", commit)
    return folder if commit.isalnum() and os.path.isfile(os.path.join(folder, "config.json")) else None


def _download(ref: str) -> BaseProblem | None:
    try:
        from huggingface_hub import constants, hf_hub_download
    except ImportError:
        return BaseProblem("hub-extra-missing", {"ref": ref})
    try:
        _look_up(constants.ENDPOINT)
        hf_hub_download(ref, "config.json")
    except Exception as error:  # network, permissions, unknown repository: huggingface_hub has a class for each
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        return BaseProblem("hub-download-failed", {"ref": ref, "type": type(error).__name__, "message": first})
    return None


def _look_up(endpoint: str) -> None:
    """Raise OSError where the hub's host has no address here: huggingface_hub would go on trying for half a minute.

    Behind a proxy it is the proxy that looks it up.
    """
    from socket import getaddrinfo
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    host = urlsplit(endpoint).hostname
    if not host or getproxies():
        return
    try:
        getaddrinfo(host, None)
    except OSError as error:
        raise OSError(f"{host}: {error.strerror}") from error
