"""Write a list of checks for the models in a folder."""
