"""The pages in the order in which they are read: a page's number stands here and in no other code.

A page is ``notebooks/NN_name.ipynb``, and what it shows lies in ``figures/<dataset>-<profile>/NN_name/``.
"""

TITLES = {  # name: title, the notebook's first heading
    "data": "From recordings to windows",
    "mae_pretraining": "Two masked autoencoders",
    "contrast": "Contrast: InfoNCE and CPEP",
    "qformer": "The Q-Former",
    "mprl": "Masked pose reconstruction",
    "communities": "Communities and soft targets",
    "objective": "The whole objective",
    "results": "Results: Table 2",
    "ablations": "Ablations",
    "sensitivity": "Constants and sensitivity",
    "efficiency": "How little data is enough?",
    "tsne": "What alignment does to the space",
    "open_choices": "What the papers do not say",
    "beyond": "Beyond the papers",
    "appendix": "Appendix: how far the results carry",
}
NUMBERS = {name: f"{number:02d}" for number, name in enumerate(TITLES, 1)}
STEMS = {name: f"{number}_{name}" for name, number in NUMBERS.items()}
