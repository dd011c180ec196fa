"""A look at a folder before any run: which data sets it holds, what is missing or wrong, what runs would leave out.

from coreecho.datacheck import check_folder
for report in check_folder(folder):
    print(report.text())
"""

from coreecho.datacheck.check import check_folder
from coreecho.datacheck.report import Options, Report

__all__ = ["Options", "Report", "check_folder"]
