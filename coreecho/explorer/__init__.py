"""The explorer: the map of the test videos' embeddings, to be looked at point by point (Figure 1; gaps F, G).

    from coreecho import explorer
    view = explorer.gather(records, place)  # row name -> record, all of one seed
    explorer.write(view, folder)  # data.js and the clips, for book/_static/explorer.js

`points` collects what is shown, `page` writes the files and the page's HTML, `picture` draws a still for the card that
leads there.
"""

from coreecho.explorer.page import fragment, listing, may_stand_in_the_book, write, write_alone
from coreecho.explorer.picture import picture
from coreecho.explorer.points import ROWS, System, View, gather, quarters, turned

__all__ = [
    "ROWS",
    "System",
    "View",
    "fragment",
    "gather",
    "listing",
    "may_stand_in_the_book",
    "picture",
    "quarters",
    "turned",
    "write",
    "write_alone",
]
