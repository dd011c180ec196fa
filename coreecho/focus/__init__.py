"""Where networks look: Grad-CAM over all test videos, against the outlined ventricle (Figure 3; gaps G).

`outlined` finds clips with outlines, `maps` measures every video's map, `tables` prints, `samples` keeps what is shown.
"""

from coreecho.focus.maps import (
    AREAS,
    CLAIM,
    MEASURES,
    SIGNS,
    Gap,
    claim,
    compare,
    explain,
    focus,
    measure,
    measured,
)

__all__ = ["AREAS", "CLAIM", "MEASURES", "SIGNS", "Gap", "claim", "compare", "explain", "focus", "measure", "measured"]
