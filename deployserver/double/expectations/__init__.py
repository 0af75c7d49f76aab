"""What a test expects of a world, and what to say where it is not so."""
