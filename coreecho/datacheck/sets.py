"""The three data sets against their own lists: counts, what is left out and why, groups; nothing is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from coreecho.datacheck.report import Options, Report
from coreecho.datasets import Dataset, read_camus, read_hmcqu
from coreecho.datasets.camus import FoldRule, scan_camus
from coreecho.datasets.camus_info import QUALITIES
from coreecho.datasets.echonet import LIST_FILE, TRACING_FILE, EchonetFolder, scan_echonet, select
from coreecho.datasets.folders import entries
from coreecho.datasets.hmcqu import BOOKS, FOLDS, VIEWS, View, scan_hmcqu
from coreecho.datasets.hmcqu_sheet import name_key
from coreecho.datasets.study import SPLITS
from coreecho.errors import DataError
from coreecho.video import is_video

ECHONET = {"listed": 10030, "usable train": 7460, "usable val": 1288, "usable test": 1276}
"""Listed in the current release; listed and traced on two frames, the paper's rule."""
CAMUS = {"patients": 500, "quality Good": 288, "quality Medium": 165, "quality Poor": 47}
"""By the four-chamber file."""
HMCQU: dict[View, dict[str, int]] = {
    "A4C": {"listed": 162, "infarcted": 93, "with a mask": 109, "infarcted, with a mask": 72},
    "A2C": {"listed": 160, "infarcted": 80},
}


def check_echonet(root: Path, options: Options) -> Report:
    """EchoNet-Dynamic, EchoNet-Pediatric, a phantom, or one's own data in that form."""
    report = Report(name="EchoNet-Dynamic", release="FileList.csv with videos", root=root)
    try:
        found = scan_echonet(root, options.folds)
    except DataError as error:
        report.name = "EchoNet-Pediatric" if "Pediatric" in str(error) else report.name
        report.damaged.append(str(error))
        return report
    if (root / "phantom.json").is_file():
        report.name, report.release = "phantom", "EchoNet-Dynamic's layout"
    elif options.folds is not None:
        report.name = "EchoNet-Pediatric"
    elif found.traced is None:
        report.release = "own list, without tracings"
    _list_against_files(report, found, options)
    if found.traced is None and options.untraced == "drop":
        report.damaged.append(f"{TRACING_FILE} is missing; use every listed video with --untraced keep")
        return report
    data = select(found, skip_bad=True, untraced=options.untraced)
    _sum_up(report, data)
    report.empty_splits = [split for split, count in report.splits.items() if not count]
    if report.name == "EchoNet-Dynamic" and len(found.rows) > 5000:
        report.published = ECHONET
        report.counted = {"listed": len(found.rows), **{f"usable {split}": n for split, n in report.splits.items()}}
    return report


def _list_against_files(report: Report, found: EchonetFolder, options: Options) -> None:
    listed = {row.id.lower() for row in found.rows}
    without = set(found.untraced) if options.untraced == "drop" and found.traced is not None else set()
    sizes = Counter(row.size for row in found.rows if row.size)
    usual = sizes.most_common(1)[0][0] if sizes else ""
    _note(report.dropped, "untraced (fewer than two traced frames)", without)
    _note(report.dropped, "file but not listed", (p.stem for key, p in found.files.items() if key not in listed))
    _note(report.dropped, "traced but not listed", (name.upper() for name in found.traced or {} if name not in listed))
    odd = [row.id for row in found.rows if row.size != usual]
    if odd:
        report.remarks.append(f"frame size by the list other than {usual}: {', '.join(odd[:10])} ({len(odd)} in all)")
    _note(report.faults, "listed but no file", set(found.missing) - without)
    unclear = (f"{name}: {told}" for name, told in found.unclear.items() if name not in without)
    _note(report.faults, "listed video with several files", unclear)
    bad = [f"{row.id}: {row.problem}" for row in found.rows if row.problem and row.id not in without]
    _note(report.faults, f"label of {LIST_FILE}", bad)


def _note(groups: dict[str, list[str]], reason: str, names: Iterable[str]) -> None:
    told = sorted(names)
    if told:
        groups[reason] = told


def _sum_up(report: Report, data: Dataset) -> None:
    """Counts, splits and fingerprint of what a run would use, and a look at the first bytes of each file."""
    report.studies, report.usable = data.studies, len(data.studies)
    counts = Counter(study.split for study in data.studies)
    report.splits = {split: counts[split] for split in SPLITS}
    report.fingerprint = data.fingerprint()
    report.damaged += [f"{study.path.name}: empty or not a video" for study in data.studies if not is_video(study.path)]


def check_camus(root: Path, options: Options) -> Report:
    """CAMUS, either release, with the folds whose lists are there, or contiguous ones."""
    found = scan_camus(root)
    report = Report(name="CAMUS", release=f"{found.release} release", root=found.root)
    _note(report.dropped, "no EF published (no use for regression)", found.without_ef)
    _note(report.faults, "patient", (f"{p.id}: {p.problem}" for p in found.patients if p.problem))
    rules: tuple[FoldRule, ...] = (
        ("contiguous",) if found.release == "mhd/raw" else ("official", "single", "contiguous")
    )
    for rule in rules:
        try:
            data = read_camus(root, fold=0, folds=rule, skip_bad=True)
            break
        except DataError as error:
            report.remarks.append(str(error))
            if "subGroup1_training.txt to" not in str(error) and "holds no subgroup" not in str(error):
                report.faults.setdefault("fold lists", []).append(report.remarks.pop())
    report.remarks = [*report.remarks[:1], f"folds counted here: {rule}"]
    _sum_up(report, data)
    tested = [study.fold for study in data.studies if study.fold is not None]
    report.folds = {"test": tuple(Counter(tested)[number] for number in range(max(tested, default=-1) + 1))}
    by_view = Counter(study.quality for study in data.studies)
    rank = {quality: number for number, quality in enumerate(QUALITIES)}
    worse = Counter(max(p.quality, p.other_quality, key=lambda q: rank.get(q, -1)) for p in found.patients)
    report.groups = {
        "quality of the four-chamber view": {quality: by_view[quality] for quality in QUALITIES},
        "quality of the worse view": {quality: worse[quality] for quality in QUALITIES},
    }
    if _is_phantom(report, found.root, "CAMUS's NIfTI layout"):
        return report
    if found.release == "NIfTI":
        report.published = CAMUS
        report.counted = {"patients": len(found.patients), **{f"quality {q}": by_view[q] for q in QUALITIES}}
    return report


def _is_phantom(report: Report, root: Path, layout: str) -> bool:
    """Whether a folder holds a phantom; the report then says so, and has no published counts to compare with."""
    there = (root / "phantom.json").is_file()
    if there:
        report.name, report.release = "phantom", layout
    return there


def check_hmcqu(root: Path, options: Options) -> list[Report]:
    """HMC-QU, one report for each view that has a workbook."""
    files = entries(root)[1]
    return [_check_view(root, view) for view in VIEWS if any(book.lower() in files for book in BOOKS[view])]


def _check_view(root: Path, view: View) -> Report:
    report = Report(name="HMC-QU", release=f"view {view}", root=root)
    try:
        found = scan_hmcqu(root, view)
    except DataError as error:
        report.damaged.append(str(error))
        return report
    report.release = f"{found.book.name}, view {view}"
    _note(report.faults, "row", (f"{name}: {problem}" for name, problem in found.problems.items()))
    listed = {name_key(row.name) for row in found.rows}
    _note(report.dropped, "file but not listed", (p.stem for key, p in found.videos.items() if key not in listed))
    masked = [row for row in found.rows if row.masked]
    _note(report.dropped, "mask said to be there but is not", _without_file(found.masks, [row.name for row in masked]))
    data = read_hmcqu(root, view=view, fold=0, skip_bad=True)
    _note(report.dropped, "no mask (not in the published figures)", data.dropped.get("no mask", ()))
    _sum_up(report, data)
    tested = Counter(study.fold for study in data.studies)
    report.folds = {"test": tuple(tested[number] for number in range(FOLDS))}
    infarcted = sum(study.label == 1 for study in data.studies)
    report.groups = {"label": {"MI": infarcted, "non-MI": len(data.studies) - infarcted}}
    if _is_phantom(report, root, f"HMC-QU's layout, view {view}"):
        return report
    report.published = HMCQU[view]
    report.counted = {
        "listed": len(found.rows),
        "infarcted": sum(row.infarct for row in found.rows),
        "with a mask": len(masked),
        "infarcted, with a mask": sum(row.infarct for row in masked),
    }
    return report


def _without_file(masks: Iterable[str], names: list[str]) -> list[str]:
    there = set(masks)
    return [name for name in names if name_key(name) not in there]
