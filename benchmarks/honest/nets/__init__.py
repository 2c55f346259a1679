"""The nets, by field; each written afresh from the publication that it names, and small."""
