"""Read tagged files, convert tag schemes, split long sentences into windows."""
