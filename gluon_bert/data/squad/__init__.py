"""SQuAD: files to questions, questions to windows, scores to answers."""
