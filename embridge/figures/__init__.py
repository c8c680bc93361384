"""The figures: one function each, arrays and DataFrames in, a matplotlib Figure out.

No function here knows a model, reads a file or invents a value, and none writes a caption: those belong to the
notebooks. All share the style of :mod:`embridge.figures.style`.
"""

from embridge.drawing import method_drawing
from embridge.figures.data import (
    filter_response,
    hands_of_classes,
    recording_traces,
    split_overview,
    window_channels,
)
from embridge.figures.embedding import communities, cosine_histogram, embeddings_contrast, tsne_panels
from embridge.figures.names import (
    CLASS_SET_NAMES,
    PARAM_NAMES,
    POLICY_NAMES,
    PROTOCOL_NAMES,
    SHORT_NAMES,
    joint_label,
    pretty,
)
from embridge.figures.results import (
    ablation_bars,
    confusion_matrices,
    difference_forest,
    gallery_audit,
    per_user_f1,
    table2_bars,
)
from embridge.figures.style import class_colours, new_figure, system_colours, use_style
from embridge.figures.sweeps import batch_size, choice_forest, data_efficiency, few_shot, sensitivity
from embridge.figures.targets import affinity_pipeline, similarity_matrix, soft_targets_grid, soft_targets_heatmap
from embridge.figures.training import alignment_curves, divergence, masked_error_curves, query_usage, reconstructions

__all__ = [
    "CLASS_SET_NAMES",
    "PARAM_NAMES",
    "POLICY_NAMES",
    "PROTOCOL_NAMES",
    "SHORT_NAMES",
    "ablation_bars",
    "affinity_pipeline",
    "alignment_curves",
    "batch_size",
    "choice_forest",
    "class_colours",
    "communities",
    "confusion_matrices",
    "cosine_histogram",
    "data_efficiency",
    "difference_forest",
    "divergence",
    "embeddings_contrast",
    "few_shot",
    "filter_response",
    "gallery_audit",
    "hands_of_classes",
    "joint_label",
    "masked_error_curves",
    "method_drawing",
    "new_figure",
    "per_user_f1",
    "pretty",
    "query_usage",
    "reconstructions",
    "recording_traces",
    "sensitivity",
    "similarity_matrix",
    "soft_targets_grid",
    "soft_targets_heatmap",
    "split_overview",
    "system_colours",
    "table2_bars",
    "tsne_panels",
    "use_style",
    "window_channels",
]
