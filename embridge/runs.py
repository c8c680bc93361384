"""What a finished training leaves behind."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch


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
