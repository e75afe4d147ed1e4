"""Where the files of a row come from, and how they are verified and kept."""
