"""What a network is fine-tuned for: its folder, its model card, its evaluation."""
