"""The same models through the raw exporters and through ``prelu-tools export``."""
