"""How this package runs: lazy imports, progress, signals, versions, timings."""
