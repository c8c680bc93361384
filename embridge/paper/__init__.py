"""The papers' reproduction: scores, records, results, tables, differences and claims; the method needs none."""
