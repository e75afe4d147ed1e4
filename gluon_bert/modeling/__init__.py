"""Networks: the layers, BERT, its heads, and how a network is built for a checkpoint."""
