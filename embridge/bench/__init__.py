"""The benchmark: ``./run_all.sh --bench``. Every ratio that the README claims is measured here, beside its baseline.

``measure`` holds what all rows share, ``workers`` runs variants in processes of their own, ``textbook`` is the
baseline of the training rows, ``turns`` is what ``before`` starts in this build and in the one before, and ``report``
writes the table and the plot. The rest is one file a group of rows.
"""
