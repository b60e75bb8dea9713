"""The config file: schema, loading, errors with file and line."""
