"""THE LANGUAGE: text in; a workflow out, or every problem with its line."""
