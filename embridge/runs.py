"""What a finished training leaves behind, and the code that it depends on."""

import ast
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from embridge.config import fingerprint


@cache
def code_fingerprint(*files: Path) -> str:
    """Hash of code as syntax trees without docstrings: a comment never retrains. None given: what decides weights.

    A process reads a file once.
    """
    if not files:
        here = Path(__file__).parent
        names = "checkpoint distributed hand loading losses optimisation regression signals tasks training".split()
        files = (*sorted((here / "models").glob("*.py")), *(here / f"{name}.py" for name in names))
    trees = []
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        trees.append(ast.dump(tree))
    return fingerprint(trees)


@dataclass(frozen=True)
class Run:
    """A finished experiment: where it lies, what it logged, and its model (on the study's device, in eval mode)."""

    name: str
    key: str
    folder: Path
    model: torch.nn.Module

    @property
    def log(self) -> pd.DataFrame:
        """One row an epoch: epoch, step, lr, loss and its parts, seconds."""
        return pd.read_csv(self.folder / "log.csv")

    @property
    def done(self) -> dict:
        """The run's record: weights_sha256, seconds, steps, commit and what it was made on."""
        return json.loads((self.folder / "done.json").read_text(encoding="utf-8"))


def slug(name: str) -> str:
    """An experiment's name as a part of a file's."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-").replace("--", "-")
