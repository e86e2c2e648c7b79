"""The command line: a thin edge that reads files, calls the rooms below and writes the answer."""
