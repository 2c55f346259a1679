"""Many small models: what one more costs, in one process, in two, and on Dask."""
