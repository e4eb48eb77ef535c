"""The door for pre-commit: of the changed files, which adapter folders are to be looked at. `scan` does the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from adaptlint.cli import by_click, ended, run
from adaptlint.hints import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from adaptlint.settings import Settings


def folders_of(files: Iterable[str], settings: Settings, base: str | None = None) -> list[str]:
    """The adapter folders that changed files belong to, and those held against a base that is among the files.

    A base is a shape lock, a config.json or the headers of weights; adapters are looked for below the current folder.
    Of a folder among the files all adapters below it are meant.
    """
    from adaptlint.scanning import adapter_folders, choose_base, is_adapter_folder

    exclude = settings.get("exclude")
    found: dict[str, None] = {}
    others: list[str] = []
    for file in files:
        folder = os.path.dirname(file) or "."
        if os.path.isdir(file):
            found.update((os.path.normpath(below), None) for below in adapter_folders(file, exclude, settings.root))
        elif is_adapter_folder(folder):
            found[folder] = None
        else:
            others.append(file)
    if others:
        bases = {os.path.realpath(place) for file in others for place in (file, os.path.dirname(file) or ".")}
        for folder in adapter_folders(".", exclude, settings.root):
            choice = choose_base(folder, settings, base)
            if choice.ref and os.path.realpath(choice.ref) in bases:
                found[os.path.normpath(folder)] = None
    return sorted(found)


def hook(options: dict[str, Any]) -> int:
    """Check the adapters that changed FILES belong to; the network is never used, and no base is no failure."""
    from adaptlint.cli.scan import scan
    from adaptlint.cli.settled import settings_of

    folders = folders_of(options.pop("files"), settings_of(options), options["base"])
    if not folders:
        return 0
    form = options["form"] or "full"
    return scan({**options, "paths": folders, "form": form, "offline": True}, allow_nothing=True)


def main() -> NoReturn:
    """Run `adaptlint-hook` and end the process."""
    ended(run(sys.argv[1:], lambda arguments: by_click(_command(), arguments, "adaptlint-hook")))


def _command() -> Any:
    import click

    from adaptlint.cli.check_command import click_option
    from adaptlint.cli.scan import OPTIONS

    def callback(**options: Any) -> int:
        return hook(options)

    files = click.Argument(["files"], nargs=-1)
    return click.Command(
        "adaptlint-hook", callback=callback, help=hook.__doc__, params=[files, *map(click_option, OPTIONS)]
    )


if __name__ == "__main__":
    main()
