"""Charts: slopes as figures, as SVG, as lines of a terminal."""
