"""Pre-training: the objective, the network, the streams, the run, and the model it writes."""
