"""What people read of a design and of a run: pages, summary, lists, tables, traces."""

from clusterwright.report.chrome import trace_json
from clusterwright.report.language import check_language
from clusterwright.report.page import html, month_html
from clusterwright.report.run_tables import jobs_csv, series_csv
from clusterwright.report.tables import bom_csv, cabling_csv
from clusterwright.report.text import summary

__all__ = [
    "bom_csv",
    "cabling_csv",
    "check_language",
    "html",
    "jobs_csv",
    "month_html",
    "series_csv",
    "summary",
    "trace_json",
]
