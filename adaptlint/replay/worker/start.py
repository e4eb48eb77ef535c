"""The first lines of a worker: `python start.py JOB.json`. Guards first, then the run; what is seen goes to stdout.

It loads the folder it lies in as a package called `adaptlint_worker`, so that nothing else of the interpreter that
started it can be imported by accident.
"""

from __future__ import annotations

import importlib.util
import os
import sys

NAME = "adaptlint_worker"


def loaded() -> None:
    """Make this folder importable as a package, and take it off the path that its interpreter was given."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != folder]
    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    loaded()
    from adaptlint_worker.running import main  # type: ignore[import-not-found]

    main(sys.argv[1])
