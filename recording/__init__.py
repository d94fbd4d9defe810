"""What services that are recorded have lived through, kept in one small file, and read from it."""
