"""Lists of models: folders, patterns, files that list them; read into jobs."""
