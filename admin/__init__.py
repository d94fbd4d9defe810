"""The control API: what operators and programs may see and ask of a running Tidegate."""
