"""The papers' tables from tidy results alone, our numbers beside theirs.

Each function takes the frame of :func:`embridge.results.collect`. Those that end in ``_rows`` return numbers, a row a
cell, from which the figures are drawn and which go into a page's CSV; the others return text, in one format for every
cell (:func:`cell`). :func:`markdown` writes any of them.
"""

from embridge.tables.ablations import (
    cpep_ablation,
    cpep_ablation_rows,
    cpep_gain,
    cpep_main,
    cpep_main_rows,
    regression_rows,
    regression_table,
    table3,
    table3_rows,
)
from embridge.tables.cells import MISSING, cell, footnotes, interval, markdown, number, select, text_table
from embridge.tables.headline import (
    ALIGNED,
    TABLE_2_SYSTEMS,
    UNIMODAL,
    class_f1_table,
    confusion_table,
    controls_table,
    corpus_table,
    gallery_table,
    headline_rows,
    policy_rows,
    table2,
    user_gain_table,
)
from embridge.tables.sweeps import (
    DEFAULTS,
    data_efficiency,
    data_efficiency_rows,
    few_shot,
    few_shot_rows,
    sensitivity,
    sensitivity_rows,
    table4,
    table4_rows,
    tune_rows,
    tune_table,
)

__all__ = [
    "ALIGNED",
    "DEFAULTS",
    "MISSING",
    "TABLE_2_SYSTEMS",
    "UNIMODAL",
    "cell",
    "class_f1_table",
    "confusion_table",
    "controls_table",
    "corpus_table",
    "cpep_ablation",
    "cpep_ablation_rows",
    "cpep_gain",
    "cpep_main",
    "cpep_main_rows",
    "data_efficiency",
    "data_efficiency_rows",
    "few_shot",
    "few_shot_rows",
    "footnotes",
    "gallery_table",
    "headline_rows",
    "interval",
    "markdown",
    "number",
    "policy_rows",
    "regression_rows",
    "regression_table",
    "select",
    "sensitivity",
    "sensitivity_rows",
    "table2",
    "table3",
    "table3_rows",
    "table4",
    "table4_rows",
    "text_table",
    "tune_rows",
    "tune_table",
    "user_gain_table",
]
