"""Untrusted files, and files that are being written."""
