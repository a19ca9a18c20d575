"""What exists already in, workflows out: runbooks in Markdown and workflows of GitHub Actions; and steps from hand to script."""
