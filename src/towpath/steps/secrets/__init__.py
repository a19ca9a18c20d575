"""What must not be seen: where secrets come from, and how they are taken out of everything a step says."""
