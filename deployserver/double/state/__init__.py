"""What a world holds, as one document: read, checked and loaded."""
