"""Many models: a task for each, run by processes of this machine or of a Dask cluster."""
