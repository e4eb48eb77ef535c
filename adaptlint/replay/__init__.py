"""Real runs: which run decides a finding (plan), the run itself (launch, worker), and what was seen (records).

Nothing is imported here, because the worker's files are loaded by interpreters that have nothing else of adaptlint.
"""
