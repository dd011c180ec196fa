"""The explorer's files: data.js, which assigns one global, the clips as WebP pictures, and the page's HTML.

A page opened from disk may load scripts and pictures that lie beside it but not read files, hence data as a script.
Clips lie in few pictures, one video a row and frames from left to right; a picture is loaded when it is first needed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coreecho.explorer.points import System, View
from coreecho.figures.style import look
from coreecho.files import project_root, replace_file
from coreecho.moving import WIDEST, webp
from coreecho.place import PHANTOM

DATA, GLOBAL = "data.js", "coreechoExplorer"
STYLES, SCRIPTS = ("clips.css", "explorer.css"), ("d3/d3.min.js", "clips.js", "explorer.js")
QUALITY = 80
MOST_PIXELS = 4_000_000
"""Of one picture of clips, which a telephone has to hold in memory uncompressed."""


def may_stand_in_the_book(view: View) -> bool:
    """Whether the clips are a phantom's; pictures of patients stay where the reader keeps figures."""
    return view.label.split(",")[0] == PHANTOM


def write(view: View, folder: Path) -> list[Path]:
    """Writes data.js and the pictures into ``folder`` and removes pictures of an earlier, larger view.

    Files of this same view stay as they are, since another release of the WebP library would write other bytes.

    Returns:
        The files, data.js first.
    """
    frames, size = view.frames[0].shape[:2]
    rows = max(1, min(MOST_PIXELS // (frames * size * size), WIDEST // size))
    names = [f"clips-{number:02d}.webp" for number in range(-(-len(view.frames) // rows))]
    written = [folder / DATA, *(folder / name for name in names)]
    code = _code(view, names, rows)
    if all(path.is_file() for path in written) and written[0].read_text(encoding="utf-8") == code:
        return written
    for number, path in enumerate(written[1:]):
        part = view.frames[number * rows : (number + 1) * rows]
        picture = webp(np.vstack([np.hstack(list(clip)) for clip in part]), QUALITY)
        replace_file(path, partial(Path.write_bytes, data=picture))
    for path in set(folder.glob("clips-*.webp")) - set(written):
        path.unlink()
    replace_file(folder / DATA, lambda path: path.write_text(code, encoding="utf-8"))
    return written


def _code(view: View, names: list[str], rows: int) -> str:
    """The text of data.js; the script's own address is kept, since the page that loads it may lie in any folder."""
    frames, size = view.frames[0].shape[:2]
    digest = hashlib.sha256(b"".join(clip.tobytes() for clip in view.frames)).hexdigest()[:16]
    clip = {"frames": frames, "size": size, "fps": view.fps, "pictures": names, "rows": rows, "digest": digest}
    content = {
        "label": view.label,
        "clip": clip,
        "videos": list(view.videos),
        "listed": _rounded(view.listed, 3),
        "truth": None if view.truth is None else _rounded(view.truth, 3),
        "systems": [_system(system) for system in view.systems],
    }
    text = json.dumps(content, separators=(",", ":"))
    return f'window.{GLOBAL} = {text};\nwindow.{GLOBAL}.base = document.currentScript.src.replace(/[^/]*$/, "");\n'


def fragment(view: View, static: str, data: str) -> str:
    """The explorer as HTML to stand in a page.

    Args:
        view: what is shown; here only its label counts.
        static: address of the folder with the scripts, from the page.
        data: address of data.js, from the page.
    """
    links = "".join(f'<link rel="stylesheet" href="{static}/{name}">' for name in STYLES)
    sources = [f"{static}/{SCRIPTS[0]}", f"{static}/{SCRIPTS[1]}", data, f"{static}/{SCRIPTS[2]}"]
    scripts = "".join(f'<script src="{source}"></script>' for source in sources)
    told = "The map needs a script that did not run. The table below holds the same numbers."
    body = f'<div id="explorer" class="explorer" data-label="{escape(view.label)}"><p>{told}</p></div>'
    return f"{links}{body}{scripts}"


def listing(view: View) -> str:
    """Every number of the map as an HTML table, in order of listed EF, folded away until it is wanted."""
    heads = ["Video", "Listed EF (%)", *(["True EF (%)"] if view.truth is not None else [])]
    heads += [f"{system.name} (%)" for system in view.systems]
    columns: list[npt.NDArray[np.float64]] = [view.listed, *([view.truth] if view.truth is not None else [])]
    columns += [system.predicted for system in view.systems]
    lines = []
    for index in np.argsort(view.listed, kind="stable"):
        cells = "".join(f"<td>{column[index]:.1f}</td>" for column in columns)
        lines.append(f'<tr><th scope="row">{escape(view.videos[index])}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    caption = f"Listed and predicted EF of the first clip of every test video ({escape(view.label)})"
    table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    scroll = f'<div class="explorer-scroll" role="region" tabindex="0" aria-label="{caption}">{table}</div>'
    summary = f"<summary>Table of all {len(view.videos)} videos</summary>"
    return f'<details class="explorer-all" id="explorer-all">{summary}{scroll}</details>'


def write_alone(view: View, folder: Path) -> Path:
    """Writes the explorer as a folder that opens by itself: files, scripts, and ``index.html``, which is returned."""
    write(view, folder)
    static = project_root() / "book" / "_static"
    for name in [*STYLES, *SCRIPTS, "d3/LICENSE"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(static / name, folder / name)
    title = f"Explorer: {escape(view.label)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = f"<h1>{title}</h1>{fragment(view, '.', DATA)}{listing(view)}"
    text = f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{body}</main></body></html>\n'
    replace_file(folder / "index.html", lambda path: path.write_text(text, encoding="utf-8"))
    return folder / "index.html"


def _system(system: System) -> dict[str, Any]:
    drawn = look(system.name)
    grid = system.grids[0]
    return {
        "name": system.name,
        "colour": drawn.colour,
        "marker": drawn.marker,
        "own": [_rounded(axis, 3) for axis in system.places.T],
        "turned": [_rounded(axis, 3) for axis in system.turned.T],
        "predicted": _rounded(system.predicted, 3),
        "grid": list(grid.cells.shape),
        "cell": grid.cell,
        "saliency": [np.rint(255 * each.cells).astype(np.uint8).tobytes().hex() for each in system.grids],
    }


def _rounded(values: npt.NDArray[np.float64], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]
