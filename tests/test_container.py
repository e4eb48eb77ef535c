"""The container recipe, built by buildah on Debian's own Python and run by podman: `make container`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters import LOCK, write_adapter
from tests.cli.running import adaptlint
from tests.conftest import ROOT

BASE = ROOT / ".container" / "python.tar"
IMAGE = "localhost/adaptlint"
RUN = ("--runtime", "runc", "run", "--rm", "--network", "none")
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")

pytestmark = pytest.mark.skipif("CONTAINER" not in os.environ, reason="builds an image: make container")


class Engine:
    """buildah and podman with a store of their own."""

    def __init__(self, place: Path) -> None:
        self.store = ("--root", str(place / "store"), "--runroot", str(place / "state"))

    def call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *self.store, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    def inside(self, folder: Path, *arguments: str, entry: str = "") -> subprocess.CompletedProcess[str]:
        """A container of the image, with `folder` mounted where the recipe says, to read only."""
        entrypoint = ("--entrypoint", entry) if entry else ()
        return self.call("podman", *RUN, *LIMITS, "-v", f"{folder}:/adapters:ro", *entrypoint, IMAGE, *arguments)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The image, built from the recipe as it stands; the index is reached as this machine reaches it."""
    place = tmp_path_factory.mktemp("containers")
    engine = Engine(place)
    try:
        assert engine.call("podman", "import", str(BASE), "localhost/python").returncode == 0
        here = ("--isolation", "chroot", "--network", "host", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro")
        recipe = ("--build-arg", "PYTHON=localhost/python", "-f", "docs/Dockerfile", "-t", IMAGE, ".")
        built = engine.call("buildah", "bud", *here, *recipe)
        assert built.returncode == 0, built.stdout + built.stderr
        yield engine
    finally:
        engine.call("podman", "rmi", "--all", "--force")
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """One that fails, one that works, and the lock that both are held against."""
    write_adapter(tmp_path / "adapters" / "de", rank=8)
    write_adapter(tmp_path / "adapters" / "f r")
    shutil.copy(LOCK, tmp_path / "tiny.lock.json")
    (tmp_path / "adaptlint.toml").write_text('[bases]\n"adapters/*" = "tiny.lock.json"\n')
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_mounted_folder_is_scanned_as_it_is_outside(engine: Engine, adapters: Path) -> None:
    done = engine.inside(adapters, "scan", "--offline", ".")
    outside = adaptlint("scan", "--offline", ".", cwd=adapters)
    assert (done.returncode, done.stdout) == (outside.returncode, outside.stdout), done.stderr
    assert done.returncode == 1
    assert "2 adapters: 1 works, 1 fails" in done.stdout


def test_a_mounted_adapter_is_checked_as_it_is_outside(engine: Engine, adapters: Path) -> None:
    command = ("check", "tiny.lock.json", "adapters/de", "--format", "concise")
    done, outside = engine.inside(adapters, *command), adaptlint(*command, cwd=adapters)
    assert (done.returncode, done.stdout) == (outside.returncode, outside.stdout), done.stderr
    assert "AL301" in done.stdout


def test_it_has_no_torch_and_is_nobody_s_root(engine: Engine, adapters: Path) -> None:
    python = "/opt/adaptlint/bin/python"
    code = "import importlib.util as u, os; print(u.find_spec('torch'), u.find_spec('adaptlint') is None, os.getuid())"
    said = engine.inside(adapters, "-c", code, entry=python).stdout.split()
    assert said[:2] == ["None", "False"]
    assert int(said[2]) > 0
    code = "import os; open(os.path.join(os.environ['ADAPTLINT_CACHE'], 'x'), 'w').close(); print(os.getcwd())"
    assert engine.inside(adapters, "-c", code, entry=python).stdout == "/adapters\n"


def test_without_arguments_it_says_what_it_can(engine: Engine, adapters: Path) -> None:
    done = engine.inside(adapters)
    assert done.returncode == 0
    assert "scan" in done.stdout
