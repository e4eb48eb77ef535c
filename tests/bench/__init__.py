"""What a check costs, as whole processes."""
