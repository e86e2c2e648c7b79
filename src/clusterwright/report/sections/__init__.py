"""The sections of the report, one module for each discipline; `page` puts them in order."""
