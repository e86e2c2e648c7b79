"""What people read of a design: the page, the lists to buy and to cable by, the summary."""

from clusterwright.report.language import check_language
from clusterwright.report.page import html
from clusterwright.report.tables import bom_csv, cabling_csv
from clusterwright.report.text import summary

__all__ = ["bom_csv", "cabling_csv", "check_language", "html", "summary"]
