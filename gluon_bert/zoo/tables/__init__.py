"""The rows of the zoo: literals only."""
