"""Read SQuAD files, split their paragraphs into windows, turn scores into answers."""
