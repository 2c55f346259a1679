"""How this package runs: modules loaded late, stages told, signals, versions, timings."""
