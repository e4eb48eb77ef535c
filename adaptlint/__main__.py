"""`python -m adaptlint`."""

from __future__ import annotations

import sys

from adaptlint.cli import main

sys.exit(main())
