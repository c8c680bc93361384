"""What only reproduces the papers: scores, records, results, tables, differences, claims; the method needs none."""
