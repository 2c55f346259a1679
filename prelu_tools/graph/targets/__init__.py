"""What runtimes make of PReLU: a table that was measured, a forecast, and what fits them."""
