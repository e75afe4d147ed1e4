"""Read GLUE tasks and your own tables as examples with labels or scores."""
