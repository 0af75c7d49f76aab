"""Loading a history from a file: what is read, checked as the API does, and stored, whatever interrupts it."""
