"""The checks that a project lists."""
