"""Where a proved copy goes: a new folder, or the old one's place, with the old one kept beside it.

A folder cannot be replaced by `rename`. Linux swaps two names in one step (renameat2 with RENAME_EXCHANGE, 3.15), so
that at every moment the adapter's name leads to the whole old or the whole new folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping

from adaptlint.drafts.words import RepairError
from adaptlint.repair.writing import flush_folder

AT_FDCWD, RENAME_EXCHANGE = -100, 2
PART = ".part"
Marks = Mapping[str, tuple[int, int, int, int]]


def beside(place: str, word: str) -> str:
    """A name of our own beside `place`, hidden, for what is not finished."""
    folder, name = os.path.split(os.path.abspath(place))
    return os.path.join(folder, f".{name[:100]}.{word}-{os.getpid()}-{os.urandom(4).hex()}{PART}")


def keep_new(part: str, place: str) -> None:
    """Give the finished folder `part` its name. Raises RepairError if something stands there by now, and OSError."""
    if os.path.lexists(place):
        raise RepairError(f"{place} exists by now and is left alone")
    os.rename(part, place)
    flush_folder(os.path.dirname(place))


def marks_of(folder: str) -> Marks:
    """Every file below a folder -> device, inode, size, time of its last change. Links are not followed."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                relative = os.path.relpath(path, folder)
                found[relative] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def swap_in(part: str, place: str, before: Marks) -> tuple[str, str]:
    """Put `part` in the place of the folder `place`: the backup, which stands before the swap is made, and what is left
    of the old folder because it came into being in the last moment ("": nothing).

    The backup is made of hard links to the old files, so that it costs no space and no file of the user's is ever
    copied or rewritten. `before` are the old folder's marks when it was read: if they differ, nothing is done.
    Raises RepairError and OSError; the folder is then as it was.
    """
    exchange = _exchange()
    backup = _free_name(place)
    made = beside(place, "backup")
    try:
        _link_tree(place, made)
        if marks_of(place) != before:
            raise RepairError(f"{place} was changed while its copy was made; nothing was replaced")
        os.rename(made, backup)
    except OSError as error:
        _remove_links(made, made)
        raise RepairError(f"{place} cannot be kept as {backup} ({error.strerror}); nothing was replaced") from error
    except RepairError:
        _remove_links(made, made)
        raise
    flush_folder(os.path.dirname(place))
    try:
        exchange(part, place)
    except OSError as error:
        _remove_links(backup, backup)
        said = f"this file system cannot swap two folders in one step ({error.strerror})"
        raise RepairError(f"{said}; use --output instead of --in-place") from error
    try:
        flush_folder(os.path.dirname(place))
        _remove_links(part, backup)
    except OSError:  # the swap is done and the backup stands: what could not be tidied up is told
        return backup, part
    return backup, part if os.path.lexists(part) else ""


def _free_name(place: str) -> str:
    for number in range(1, 1000):
        name = f"{place}.backup" if number == 1 else f"{place}.backup-{number}"
        if not os.path.lexists(name):
            return name
    raise RepairError(f"{place} has a thousand backups already")


def _link_tree(source: str, target: str) -> None:
    os.mkdir(target)
    for root, folders, files in os.walk(source):
        into = os.path.join(target, os.path.relpath(root, source))
        for name in folders:
            os.mkdir(os.path.join(into, name))
        for name in files:
            os.link(os.path.join(root, name), os.path.join(into, name), follow_symlinks=False)
        os.chmod(into, stat.S_IMODE(os.stat(root).st_mode) | stat.S_IRWXU)
        flush_folder(into)


def _remove_links(folder: str, kept: str) -> None:
    """Take away a tree of links whose files have another name as well: those of `kept`, or the user's own.

    A file without another name stays where it is, with the folders around it.
    """
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            path = os.path.join(root, name)
            other = os.path.join(kept, os.path.relpath(path, folder))
            same = kept == folder or (os.path.lexists(other) and os.path.samestat(os.lstat(other), os.lstat(path)))
            if same and os.lstat(path).st_nlink > 1:
                os.unlink(path)
        for name in folders:
            _remove_empty(os.path.join(root, name))
    _remove_empty(folder)


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST):
            raise


def _exchange() -> Callable[[str, str], None]:
    """renameat2 with RENAME_EXCHANGE as a function of two paths; RepairError where the system has none."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "renameat2", None)
    if function is None:
        raise RepairError("this system cannot swap two folders in one step; use --output instead of --in-place")
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def exchange(one: str, other: str) -> None:
        if function(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return exchange
