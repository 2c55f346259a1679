"""What runtimes do with PReLU: a measured table, a forecast, and forms that fit."""
