"""Pictures of workflows and runs: SVG for pages and files, an outline for terminals."""

from towpath.observe.drawing.figures import Figure, figure_of
from towpath.observe.drawing.outline import outline
from towpath.observe.drawing.progress import Progress, progress_of
from towpath.observe.drawing.svg import css, svg

__all__ = ["Figure", "Progress", "css", "figure_of", "outline", "progress_of", "svg"]
