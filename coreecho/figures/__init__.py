"""Plots of the book: one function per figure, axes with units, colours that colour-blind readers can tell apart.

Every figure function returns a matplotlib `Figure`; `save` writes it as PNG and SVG, and `shown` shows it in a notebook
as well.
"""

from coreecho.figures.embeddings import embedding_panels, trusted
from coreecho.figures.intervals import table_intervals
from coreecho.figures.one_file import prediction
from coreecho.figures.phantom import contact_sheet, label_scatter
from coreecho.figures.predictions import predicted_against_listed
from coreecho.figures.saliency import saliency_grid
from coreecho.figures.schedules import learning_rates
from coreecho.figures.style import save, save_png, shown, shown_png

__all__ = [
    "contact_sheet",
    "embedding_panels",
    "label_scatter",
    "learning_rates",
    "predicted_against_listed",
    "prediction",
    "saliency_grid",
    "save",
    "save_png",
    "shown",
    "shown_png",
    "table_intervals",
    "trusted",
]
