"""GLUE tasks and tables of your own: files to examples with labels or scores."""
