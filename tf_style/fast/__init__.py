"""One-pass models behind one interface: Magenta's, and our own (`builtin`)."""
