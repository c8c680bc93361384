"""What the sweeps of :mod:`embridge.experiments` vary, and METHOD 9's alternatives to what the papers leave open.

The values stand in experiments.toml, the alternatives in grids.toml; docs/constants.md tells how D_tune chose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embridge.config import EvalConfig, ModelConfig, profile
from embridge.experiments import ALL, EMBRIDGE, EXPERIMENTS
from embridge.files import read_toml

NEIGHBOURS = (1, 5, 10, 20, 50)  # k: no training
JOINT = "affinity, tau_s, alpha"  # what is tried together, each as a system of its own that is scored on D_tune alone
GROWN = "users, windows"


def _trained_for(part: str) -> list:
    return [e for e in EXPERIMENTS.values() if e.part == part]


CONSTANTS = [(o.soft_targets, o.affinity, o.tau_s, o.alpha) for o in (e.objective for e in _trained_for("constants"))]
JOINT_DEFAULTS = {
    system: "{0.affinity}, {0.tau_s:g}, {0.alpha:g}".format(EXPERIMENTS[system].objective)
    for system in ("EMBridge", "SoftCLIP")
}
# What the sweeps of Fig. 4 leave alone, METHOD 6, in all profiles but paper; and the values that each has: experiments,
# two of r, of which the profile's own is left out
DEFAULTS = {
    "tau_s": f"{EMBRIDGE.tau_s:g}",
    "k_c": f"{EMBRIDGE.k_c}",
    "M": f"{ModelConfig().n_queries}",
    "alpha": f"{EMBRIDGE.alpha:g}",
    "lambda": f"{EMBRIDGE.lam:g}",
    "r": f"{profile('long').mask_ratio:g}",
    "metric": EMBRIDGE.affinity,
    "q": "renormalised" if EMBRIDGE.renormalise_q else "with the positive",
    "gain": f"{ModelConfig().query_gain:g}",
    "k": f"{EvalConfig().k}",
}
GRIDS = {p: tuple(e.param_value for e in _trained_for("Fig. 4") if e.param == p) for p in DEFAULTS if p != "k"}
# How results grow (ours): users and about how many windows at long's size, to an Experiment's users and share
GROWTH = {e.param_value: (e.users, e.share) for e in _trained_for("growth")} | {"38, 8000": ALL}
GROWTH = dict(sorted(GROWTH.items(), key=lambda size: size[1][0] * size[1][1]))


def defaults(profiles: Iterable[str]) -> dict[str, str]:
    """DEFAULTS as results of these profiles have them: all but ``paper``, which stands alone, agree."""
    return DEFAULTS | ({"r": f"{profile('paper').mask_ratio:g}"} if "paper" in set(profiles) else {})


@dataclass(frozen=True)
class Choice:
    """An alternative to one of METHOD 9's defaults: something that the papers leave open."""

    option: str  # this and the next two in METHOD 9's words or the configuration's
    default: str
    alternative: str
    system: str = "EMBridge"  # whose numbers it is measured on
    protocols: Sequence[str] = ("LP", "ZS")  # that it can change; it leaves the other one as it is
    fig_4: str = ""  # the parameter whose sweep has the same experiment; "": none

    @property
    def experiment(self) -> str:
        """Name of the experiment that measures it; "": the trained system is only evaluated otherwise."""
        name = f"{self.system}, {self.fig_4 or self.option} = {self.alternative}"
        return name if name in EXPERIMENTS else ""


OPEN_CHOICES = [Choice(**row) for row in read_toml(__file__)["choices"]]
