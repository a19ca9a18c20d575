"""What exists already in, workflows out: runbooks and GitHub Actions; and single steps from hand to script and back."""

from towpath.definition.importing.checklist import Assignment, import_markdown
from towpath.definition.importing.github import import_github
from towpath.definition.importing.report import Fate, Imported, Note

__all__ = ["Assignment", "Fate", "Imported", "Note", "import_github", "import_markdown"]
