"""Many models: one job each, run by processes on this machine or on a Dask cluster."""
