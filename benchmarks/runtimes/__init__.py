"""What runtimes make of a slope, by its shape: measured by running them."""
