"""Shows a run as CSV, Markdown and terminal text, from saved results alone."""
