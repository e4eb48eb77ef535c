"""`python -m adaptlint`."""

from __future__ import annotations

from adaptlint.cli import main

main()
