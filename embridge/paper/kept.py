"""Scores that are not made again: kept for as long as a study, or left by the committed run that it shows."""

import inspect
from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

from embridge.config import RESULTS_VERSION, as_json, results_name
from embridge.errors import InputError
from embridge.paper.results import read_rows
from embridge.provenance import ROOT
from embridge.study import Study

_kept: WeakKeyDictionary[Study, dict[tuple, object]] = WeakKeyDictionary()


def once(function: Callable) -> Callable:
    """Keep what ``function(study, ...)`` returns as long as the study lives; InputError where a part of D_eval is here.

    Its other arguments must be hashable; what it returns is not to be changed.
    """

    @wraps(function)
    def read(study: Study, *arguments, **options):
        if not study.whole:
            raise InputError("a part of D_eval is here, which is not scored; set train = True to train and score")
        kept = _kept.setdefault(study, {})
        key = (function.__name__, *arguments, *sorted(options.items()))
        if key not in kept:
            kept[key] = function(study, *arguments, **options)
        return kept[key]

    return read


def of_whole_run(page: str = "*", **where) -> Callable:
    """A decorator for ``function(study, ...)`` that makes tidy rows: a study with a part of D_eval has committed ones.

    These are rows of its run's pages, or of the one with this name, with the values ``where``, of a tuple any, and
    those of the arguments "system" and "classes". InputError where no page of the same configuration and seed has any:
    simulated windows are named by it, since their last bits are a processor's.
    """

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def rows(study: Study, *arguments, **options):
            if study.whole or options:
                return function(study, *arguments, **options)
            given = inspect.signature(function).bind(study, *arguments).arguments
            asked = where | {c: given[c] for c in ("system", "classes") if c in given}
            asked = {c: v if isinstance(v, tuple) else (v,) for c, v in asked.items()}
            fits = {"seed": study.seed, "results_version": RESULTS_VERSION, "configuration": as_json(study.profile)}
            folder, found = ROOT / "figures" / results_name(study.dataset, study.profile.name, study.tokens), []
            for file in sorted(folder.glob(f"*{page}/results.json")):
                about, own = read_rows(file, "a page's results.json", "restore it")
                if fits.items() <= about["context"].items():
                    found += [r for r in own if all(r[c] in values for c, values in asked.items())]
            if not found:
                raise InputError(f"{folder} has no rows of {function.__name__} of this configuration; set train = True")
            return found

        return rows

    return decorate
