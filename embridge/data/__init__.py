"""From recordings to a batch: readers, filters, windows, their store, splits, and what training reads (METHOD 1)."""
