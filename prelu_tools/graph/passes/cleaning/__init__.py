"""The passes that follow a converter, which `pipeline.py` puts in order."""
