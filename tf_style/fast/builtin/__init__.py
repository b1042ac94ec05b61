"""Our own small models: what they are, and the weights that ship with the package."""

