"""The chapters' toys: what their cells work out is right by hand, and a package that differed would be found there."""

import ast
from math import cos, exp, log, radians, sqrt
from pkgutil import resolve_name
from unittest.mock import patch

import nbformat
import numpy as np
import pytest

from embridge.run.cli import NOTEBOOKS
from embridge.run.pages import STEMS

TOYS = {  # of a chapter: the asserts in its toy's cells, what these cells contain, in order, and what they are held to
    "contrast": (
        2,
        ["emg_angles, pose_angles =", "by_hand = -np.log", "package = losses.info_nce", "both = (by_hand"],
        ["losses.info_nce"],
    ),
    "qformer": (
        2,
        ["tokens_in_time = np.array", "taken = weights", "cross = CrossAttention"],
        ["models.transformer.CrossAttention.forward", "paper.explore.attention_weights"],
    ),
    "mprl": (
        4,
        ["# Q', from EMG", "may_attend = ", "other_emg = ", "other_pose = ", "own = attention_mask(2, 3)"],
        ["models.qformer.attention_mask", "models.transformer.attend"],
    ),
    "communities": (
        2,
        ["affinity = np.cos", "similarity = kept", "y_by_hand = ", "community_affinity(P, C, k_c=1)", "cascle = -("],
        ["losses.community_affinity", "losses.soft_targets", "losses.soft_cross_entropy"],
    ),
    "results": (1, ["for queries in ([30], [30, 100])"], ["evaluation.zero_shot"]),
    "beyond": (
        3,
        ["signs, asked_yes ="],
        ["losses.x_clr_targets", "losses.instance_targets", "losses.pairwise_sigmoid"],
    ),
}


def by_hand(name: str, found: dict, told: str) -> list[tuple]:
    """What the toy's cells found, and beside each what pencil and paper give."""
    near, a, b = exp(4 / sqrt(2)), exp(1 / sqrt(2)), exp(0.5 / sqrt(2))  # |2|^2, 2 * 0.5 and 0.5, over the root of d
    if name == "contrast":  # cosines over 0.5, the own first: of 0, 60, 120; 0, 60, 60; 30, 30, 90 degrees
        rows = [(2, 1, -1), (2, 1, 1), (sqrt(3), sqrt(3), 0)]
        return [(found["by_hand"], sum(log(sum(map(exp, row))) - row[0] for row in rows) / 3)]
    if name == "qformer":  # each query scores 4 / sqrt(2), 0 and 0
        w = near / (near + 2)
        return [(found["taken"], [[2 * w, 1 - w], [1 - w, 2 * w]])]
    if name == "mprl":  # the masked token reads all five, a query the two queries; other EMG turns (0, 2) to (0, -2)
        w, total, moved = near / (near + 1), 3 * a + b + 1, 2 * a + 1 / a + b + 1
        masked = 0.5 + (3 * a + b / 2 + 1) / total, 0.5 + (3 * a + b / 2 - 1) / total
        other = 0.5 + (3 * a + b / 2 + 1) / moved, 0.5 + (a + b / 2 - 1 - 2 / a) / moved
        stay = [[2 + 2 * w, 2 - 2 * w], [2 - 2 * w, 2 + 2 * w]]  # Q', whatever the pose
        before, pose_turned = found["before"], found["other_pose"][:2]
        return [(before[:2], stay), (pose_turned, stay), (before[3], masked), (found["other_emg"][3], other)]
    if name == "communities":  # the partner's similarity is cos(10)^2, both strangers' is 0
        partner = exp(cos(radians(10)) ** 2 / 0.5)
        stranger = 1 / (partner + 2)
        assert round(partner * stranger, 2) == 0.78
        return [(found["y"][0], [0, partner * stranger, stranger, stranger])]
    if name == "beyond":  # cosines of 0, 20 and 90 degrees and, of the second pose, 20, 0 and 70; over 0.1, less 10
        own, near, far, third = 10, 10 * cos(radians(20)), 10 * cos(radians(70)), 0
        total = exp(own) + exp(near) + 1
        targets = [exp(own) / total, exp(near) / total, 1 / total]
        no = 2 * sum(log(1 + exp(s - 10)) for s in (near, far, third)) / 3  # each of two poses is asked twice
        return [
            (found["x_clr"][0], targets),
            (found["softclip"][0], [0, exp(near) / (exp(near) + 1), 1 / (exp(near) + 1)]),
            (found["siglip"], log(2) + no),
        ]
    assert "voters A A B, so A" in told and "voters B A B, so B" in told  # 20, 0, 80 degrees; 100, 20, 80
    return [(found["similar"], [cos(radians(turn)) for turn in (30, 10, 20, 0)])]


def run(name: str) -> dict:
    """The names after the chapter's imports and its toy's cells, each of which is there once, with its asserts."""
    cells = nbformat.read(NOTEBOOKS / f"{STEMS[name]}.ipynb", as_version=4).cells
    code = {cell.source: ast.parse(cell.source) for cell in cells if cell.cell_type == "code"}
    imports = [line for tree in code.values() for line in tree.body if isinstance(line, ast.Import | ast.ImportFrom)]
    n_asserts, contents, _ = TOYS[name]
    trees = [[tree for source, tree in code.items() if holds in source] for holds in contents]
    counts = dict(zip(contents, map(len, trees), strict=True))
    assert set(counts.values()) == {1}, f"{STEMS[name]}: expected one cell with each, found {counts}"
    toy = [line for (tree,) in trees for line in tree.body]
    n = sum(isinstance(node, ast.Assert) for line in toy for node in ast.walk(line))
    assert n == n_asserts, f"{STEMS[name]}: expected {n_asserts} asserts in the toy's cells, found {n}"
    found: dict = {}
    exec(compile(ast.Module(imports + toy, []), STEMS[name], "exec"), found)
    return found


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_is_right_by_hand(name, capsys):
    found = run(name)
    for ours, hand in by_hand(name, found, capsys.readouterr().out):
        np.testing.assert_allclose(np.asarray(ours), hand, atol=1e-6)


@pytest.mark.parametrize(("name", "function"), [(name, f) for name, (*_, of) in TOYS.items() for f in of])
def test_a_toy_s_assert_finds_a_package_that_differs(name, function):
    real = resolve_name(f"embridge.{function}")

    def other(*args, **options):
        x = real(*args, **options)
        return ~x if "bool" in str(x.dtype) else 1 - x if "int" in str(x.dtype) else 1.01 * x

    # "^$": a cell's own assert, which says nothing
    with patch(f"embridge.{function}", other), pytest.raises(AssertionError, match="^$"):
        run(name)
