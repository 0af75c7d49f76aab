"""What is to go wrong: with which requests, how often, and what it does to them."""
