"""Candidates in integer codes: their slopes, their weights, and what their kernels compute."""
