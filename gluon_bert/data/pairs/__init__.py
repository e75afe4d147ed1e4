"""Read pairs, triplets and scored pairs of texts, and make batches of them."""
