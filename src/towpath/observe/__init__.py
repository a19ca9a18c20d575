"""WHAT WE SEE: views of the journal; they read it and never write."""
