"""The figures: one function each, arrays and DataFrames in, a matplotlib Figure out.

No function here knows a model, reads a file or invents a value, and none writes a caption, which says how to read the
picture: those belong to the notebooks. All share the style of :mod:`embridge.figures.style`.
"""

from embridge.figures.beyond import decoded_hands, joint_errors, moved_band, open_set, own_windows, stage_confusions
from embridge.figures.data import filter_response, hands_of_classes, recording_traces, window_channels
from embridge.figures.embedding import communities, cosine_histogram, far_apart, tsne_panels
from embridge.figures.method import method_drawing
from embridge.figures.results import (
    ablation_bars,
    confusion_matrices,
    difference_forest,
    front_ends,
    gallery_audit,
    per_user_f1,
    table2_bars,
)
from embridge.figures.style import modality_colour, new_figure, pretty, system_colours, use_style
from embridge.figures.sweeps import batch_size, choice_forest, constants, data_efficiency, few_shot, growth, sensitivity
from embridge.figures.targets import (
    affinity_pipeline,
    attention_maps,
    attention_mask,
    similarity_matrix,
    soft_targets_grid,
    soft_targets_heatmap,
)
from embridge.figures.training import alignment_curves, divergence, masked_error_curves, reconstructions
