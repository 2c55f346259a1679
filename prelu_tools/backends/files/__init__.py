"""Files that `inspect` reads directly, without the framework that wrote them."""
