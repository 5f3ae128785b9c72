"""What the commands do: one function each, from a config file to an exit code."""
