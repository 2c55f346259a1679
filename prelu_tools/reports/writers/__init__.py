"""Writers: one file for each format, with a function `render`."""
