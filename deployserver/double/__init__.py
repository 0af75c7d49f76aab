"""The test double for ProGet: the same server in memory, which can be seeded, asked what it received, and broken."""
