"""Real libraries that open converted adapters, each in an environment of its own; run by `make prove-conversions`."""
