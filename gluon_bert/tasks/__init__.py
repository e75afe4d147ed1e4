"""Tasks: their rows, fine-tuning, the folder of a fine-tuned network, its model card."""
