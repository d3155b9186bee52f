"""The names of the report's files. Nothing is imported."""

REPORT_FILE = "report.json"
PAGE_FILE = "index.html"
MARKDOWN_FILE = "report.md"
MODEL_CARD_FILE = "MODEL_CARD.md"
