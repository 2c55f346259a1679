"""Write a list of checks for the models of a folder."""
