"""Files that `inspect` reads by themselves, without the framework that wrote them."""
