"""The command line: flags in, pictures out."""
