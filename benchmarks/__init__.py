"""One script a figure: each prints a table and, with --json, writes it down."""
