"""The PReLU layers of a candidate, compared with the reference's."""
