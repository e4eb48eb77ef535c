"""The data that ships with adaptlint: method, runtime and rule tables, read once; and where our cache lives."""

from adaptlint.tables.bundle import TableError, find_sources, load
from adaptlint.tables.files import cache_folder, read_sealed, write_atomic, write_sealed

__all__ = ["TableError", "cache_folder", "find_sources", "load", "read_sealed", "write_atomic", "write_sealed"]
