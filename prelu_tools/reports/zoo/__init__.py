"""Many models in each format; the modules beside this folder hand a `ZooResult` over to these."""
