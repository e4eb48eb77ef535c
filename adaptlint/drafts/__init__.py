"""An adapter as it would be: nothing of it is written, and it can be checked like a real one."""
