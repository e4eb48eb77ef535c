"""What runs in the chosen interpreter: it may be an old Python with old libraries and nothing else of adaptlint.

`start.py` loads these files as a package of their own; they import each other relatively, and torch, transformers, peft
or adapters inside functions alone.
"""
