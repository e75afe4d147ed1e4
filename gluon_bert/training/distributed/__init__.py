"""Training by several processes: engines that add up gradients, and the buckets that they add."""
