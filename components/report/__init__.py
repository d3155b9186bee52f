"""The report of a run: what is gathered, the figures, the charts, the page and the Markdown."""
