"""Records that no training made, for tests of what tables and figures do with them: the same numbers everywhere."""

import dataclasses

import numpy as np
import pandas as pd
from helpers import TINY, formula

from coreecho.records import Record, write_record
from coreecho.settings import Run

METHODS = {
    "table1/adacon": Run(method="adacon", views="same-clip"),
    "table1/echocotr": Run(method="echocotr", views="one"),
    "table1/coreecho": Run(),
}
VIDEOS = [f"video{number:02d}" for number in range(40)]
LABELS = (55 + 22 * formula(1, np.arange(40))).round(1)


def scatter(stream, *shape):
    """Numbers without pattern, of mean 0 and standard deviation 1, that no version of a library changes."""
    return np.sqrt(3) * formula(stream, np.arange(np.prod(shape))).reshape(shape)


def record(folder, row, seed=0, *, error=4.0, label="phantom", profile=TINY, labels=LABELS):
    """A written record of ``row`` whose predictions miss the labels by ``error`` EF points in the mean square."""
    noise = scatter(100 + 10 * list(METHODS).index(row) + seed, 2, 3, len(labels))
    tables = []
    for protocol, clips in (("first", 1), ("fixed3", 3)):
        for clip in range(clips):
            known = {"protocol": protocol, "video": VIDEOS[: len(labels)], "clip": clip, "start": 4 * clip}
            missed = labels + error * noise[int(clips == 3), clip]
            tables.append(pd.DataFrame({**known, "label": labels, "prediction": missed, "truth": labels}))
    run = dataclasses.replace(METHODS[row], seed=seed)
    made = Record(
        folder=folder / f"{run.slug}-{label}",
        key=f"{seed:08x}",
        run=run,
        profile=profile,
        data={"name": "echonet", "label": label, "fingerprint": "0"},
        history=[{"seconds": 1.0}],
        metrics={},
        provenance={"device": "cpu", "commit": "0" * 40},
    )
    made.folder.mkdir(parents=True, exist_ok=True)
    write_record(made, pd.concat(tables, ignore_index=True))
    return made


def records(folder, seeds=(0, 1), errors=(6.0, 5.0, 3.0), **options):
    """Records of every trained row of Table 1, by row name."""
    return {
        row: [record(folder, row, seed, error=error, **options) for seed in seeds]
        for row, error in zip(METHODS, errors, strict=True)
    }


def embeddings(noise, seed=0, width=8):
    """A table of embeddings along a line in EF, as `appendix.embeddings` gives it; ``noise`` blurs the line."""
    line = np.outer((LABELS - 55) / 12, scatter(200 + seed, width))
    vectors = line + noise * scatter(300 + seed, len(LABELS), width)
    columns = pd.DataFrame(vectors.astype(np.float32), columns=[f"e{number}" for number in range(width)])
    return pd.concat([pd.DataFrame({"video": VIDEOS, "label": LABELS, "prediction": LABELS}), columns], axis=1)


def layout(seed=0):
    """Places in a plane as `appendix.layout` gives them, in another order of videos."""
    places = np.outer((LABELS - 55) / 12, [3.0, 1.0]) + scatter(400 + seed, len(LABELS), 2)
    table = pd.DataFrame({"video": VIDEOS, "x": places[:, 0], "y": places[:, 1]})
    return table.iloc[::-1].reset_index(drop=True)
