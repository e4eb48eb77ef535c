"""Parts of templates that occur more than once, kept once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class Sharing:
    """Parts that occur more than once in a table, kept once."""

    LEAST = 60

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.numbers: dict[str, int] = {}
        self.templates: list[Any] = []

    def count(self, template: Any) -> None:
        """Count every part of a template."""
        if isinstance(template, dict | list):
            text = json.dumps(template)
            self.counts[text] += 1
            if self.counts[text] == 1:
                for part in template.values() if isinstance(template, dict) else template:
                    self.count(part)

    def put(self, template: Any) -> Any:
        """The template with repeated parts replaced by references."""
        if not isinstance(template, dict | list):
            return template
        text = json.dumps(template)
        shareable = isinstance(template, dict) and len(text) > self.LEAST and self.counts[text] > 1 and '"@' not in text
        if shareable and text in self.numbers:
            return {"$=": self.numbers[text]}
        result: Any
        if isinstance(template, dict) and "$case" in template:
            of = {text: self.put(part) for text, part in template["of"].items()}
            result = {"$case": template["$case"], "of": of}
        elif isinstance(template, dict):
            result = {
                key: part if key in ("$", "$?", "$case", "$*") else self.put(part) for key, part in template.items()
            }
        else:
            result = [self.put(part) for part in template]
        if shareable:
            self.numbers[text] = len(self.templates)
            self.templates.append(result)
            return {"$=": self.numbers[text]}
        return result
