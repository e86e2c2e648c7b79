"""The pictures of the report: each module draws one kind, at any width, from plain figures."""
