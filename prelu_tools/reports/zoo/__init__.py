"""Many models in each format; the modules beside this folder hand a `BatchResult` over to these."""
