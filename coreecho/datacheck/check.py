"""Recognising what lies in a folder by the lists and folders that each data set is known by, down to four levels."""

from __future__ import annotations

from pathlib import Path

from coreecho.datacheck.decode import decode_files, decode_studies
from coreecho.datacheck.report import Options, Report
from coreecho.datacheck.sets import check_camus, check_echonet, check_hmcqu
from coreecho.datasets.camus import holds_patients
from coreecho.datasets.echonet import LIST_FILE
from coreecho.datasets.folders import Entries, contents, entries, find_below
from coreecho.datasets.hmcqu import holds_workbook
from coreecho.errors import DataError, VideoError
from coreecho.video.read import kind_of


def check_folder(folder: str | Path, options: Options | None = None) -> list[Report]:
    """Recognises and checks every data set at or below a folder; without any, the echo files that lie in it.

    Args:
        folder: what was unpacked, at whatever level.
        options: how to look; nothing is decoded by default.

    Returns:
        One report a data set (HMC-QU: one a view).

    Raises:
        DataError: no such folder, or it holds nothing that is known here.
    """
    folder, options = Path(folder), options or Options()
    reports: list[Report] = []
    for place in find_below(folder, _is_data_set):
        folders, files = entries(place)
        if LIST_FILE.lower() in files:
            reports.append(check_echonet(place, options))
        elif holds_workbook(folders, files):
            reports += check_hmcqu(place, options)
        else:
            reports.append(check_camus(_camus_root(place), options))
    reports = list({(report.root, report.name, report.release): report for report in reports}.values())
    if options.decode:
        for report in reports:
            decode_studies(report)
    return reports or [_loose_files(folder, options)]


def _is_data_set(folders: Entries, files: Entries) -> bool:
    return LIST_FILE.lower() in files or holds_workbook(folders, files) or holds_patients(folders, files)


def _camus_root(place: Path) -> Path:
    """The older release keeps its patients in two folders of one data set."""
    return place.parent if place.name.lower() in ("training", "testing") else place


def _loose_files(folder: Path, options: Options) -> Report:
    """Echo files without a list: good for prediction; everything else in the folder is named."""
    folders, files = entries(folder)
    report = Report(name="echo files", release="no list of labels", root=folder)
    clips, skipped = [], [f"{path.name}/" for path in folders.paths]
    skipped += [path.name for path in contents(folder) if path.name.startswith(".")]
    for path in files.paths:
        try:
            kind_of(path)
            clips.append(path)
        except VideoError as error:
            if path.suffix.lower() in (".avi", ".mp4", ".gif", ".dcm", ".nii", ".gz", ".mhd"):
                report.damaged.append(str(error))
            else:
                skipped.append(path.name)
    if not clips and not report.damaged:
        beside = " (a MeasurementsList.csv is EchoNet-LVH's)" if "measurementslist.csv" in files else ""
        raise DataError(
            f"{folder}: no data set here or four levels below (looked for {LIST_FILE}, patient0001/, A4C.xlsx, "
            f"A2C.xlsx, HMC_QU.xlsx) and no echo file{beside}; give the folder that was unpacked"
        )
    report.usable = len(clips)
    if skipped:
        report.dropped["not an echo file"] = sorted(skipped)
    report.remarks.append("without a list there are no labels to train on; coreecho predict reads such files")
    if options.decode:
        decode_files(report, clips)
    return report
