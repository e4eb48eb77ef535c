"""The Python half of the rules that need one: `checks/<family>/<rule_name>.py` with one function, `check`."""
