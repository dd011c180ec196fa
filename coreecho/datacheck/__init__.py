"""A look at a folder before any run: which data sets it holds, what is missing or wrong, what runs would leave out.

from coreecho.datacheck import Options, check_folder
options = Options(skip_bad=True)
for report in check_folder(folder, options):
    print(report.text(options))
"""

from coreecho.datacheck.check import check_folder
from coreecho.datacheck.report import Options, Report

__all__ = ["Options", "Report", "check_folder"]
