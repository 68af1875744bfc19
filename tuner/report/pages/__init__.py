"""Pages, documents and what the dashboard shows."""
