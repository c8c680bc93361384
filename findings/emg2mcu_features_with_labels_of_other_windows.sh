#!/usr/bin/env bash
# emg2mcu 0.1.0: with tsfresh, 118 of 120 windows of EMG get the features of another window, and keep their labels.
#
# Versions:  emg2mcu 0.1.0, tsfresh 0.21.2, statsmodels 0.15.0, scikit-learn 1.9.1, PyWavelets 1.9.0, pandas 3.1.1,
#            scipy 1.17.1, numpy 2.4.6. Only its module of features is run. tsfresh's import of stumpy, for one feature
#            without a default query, and of requests, for downloads, are left out.
# Input:     24 contractions for training and 12 for the test, of two gestures in random order, each of five windows of
#            50 samples of white noise as EMG: ten times as strong in one gesture as in the other. As arrays of windows
#            and labels through build_featureset(), by "time_domain" and by "tsfresh".
# Behaviour: extract_ts_features() is documented to return one row a window, with the index w0, w1, and so on. It names
#            the windows by these texts and sorts the rows by them, so that w10 to w19 and w100 to w119 come before w2.
#            build_featureset() then drops the index, with the comment that this makes rows and labels match, and puts
#            them side by side. The selection of features by their relation to the labels, which follows, finds none
#            here, and its report says that nothing is misaligned. With the rows in the windows' order it keeps 114. Up
#            to ten windows are right. By "time_domain" all are.
# Output:    time_domain, train: 120 of 120 rows are the window's own, 100 % fit the label
#            time_domain, test: 60 of 60 rows are the window's own, 100 % fit the label
#            tsfresh, train: 2 of 120 rows are the window's own, 52 % fit the label
#            tsfresh, test: 2 of 60 rows are the window's own, 47 % fit the label
#            rows of the first six windows: w0 w1 w10 w100 w101 w102
#            build_featureset: 0 of 777 features kept, 'misaligned: no'
#            in the windows' order: 114 of 777 features kept
# Why it matters: hundreds of windows a recording are usual, so the labels are as good as shuffled, in training and in
#            test. A classifier then is at chance, and one concludes that the EMG does not tell the gestures apart.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile statsmodels==0.15.0 scikit-learn==1.9.1 \
    PyWavelets==1.9.0 pandas==3.1.1 scipy==1.17.1 numpy==2.4.6 tqdm==4.70.1 cloudpickle==3.1.3
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps emg2mcu==0.1.0 tsfresh==0.21.2
cd "$place"
cat >check.py <<'PY'
import contextlib
import importlib
import io
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

sys.modules["stumpy"] = sys.modules["requests"] = MagicMock()
sys.modules["EMG2MCU"] = ModuleType("EMG2MCU")
sys.modules["EMG2MCU"].__path__ = [str(Path(find_spec("tsfresh").origin).parents[1] / "EMG2MCU")]
features = importlib.import_module("EMG2MCU.features")


def quietly(function, *arguments, **settings):
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments, mode="benchmark", return_dataframe=True, **settings), said.getvalue()


def main():
    warnings.simplefilter("ignore")  # pandas and tsfresh warn of much else
    random = np.random.default_rng(0)
    windows, labels = {}, {}
    for part, contractions in (("train", 24), ("test", 12)):
        labels[part] = np.repeat(random.permutation(np.repeat([0, 1], contractions // 2)), 5)
        windows[part] = np.array([(1 + 9 * label) * random.normal(size=(1, 50)) for label in labels[part]])

    def report(name, strengths):
        for part, values in strengths.items():
            own = np.sum(np.isclose(np.asarray(values), windows[part].std(axis=(1, 2))))
            fit = 100 * np.mean((np.asarray(values) > 4) == labels[part])
            print(f"{name}, {part}: {own} of {len(values)} rows are the window's own, {fit:.0f} % fit the label")

    (table, _), _ = quietly(features.build_featureset, windows, labels, extraction_method="time_domain")
    report("time_domain", {part: np.sqrt(rows["VAR_CH1"]) for part, rows in table.items()})
    with contextlib.redirect_stderr(io.StringIO()):
        extracted = features.extract_ts_features(windows)
    report("tsfresh", {part: rows["0__standard_deviation"] for part, rows in extracted.items()})
    print("rows of the first six windows:", *extracted["train"].index[:6])
    (table, _), said = quietly(features.build_featureset, windows, labels, extraction_method="tsfresh")
    told = "yes" if "SIM" in next(line for line in said.splitlines() if line.startswith("Desalinhado")) else "no"
    kept, of = table["train"].shape[1], extracted["train"].shape[1]
    print(f"build_featureset: {kept} of {of} features kept, 'misaligned: {told}'")
    ordered = extracted["train"].loc[[f"w{number}" for number in range(120)]]
    kept, _ = quietly(features.select_ts_features, ordered, labels["train"])
    print(f"in the windows' order: {kept.shape[1]} of {of} features kept")


if __name__ == "__main__":
    main()
PY
found=$("$place/venv/bin/python" check.py)
echo "$found"
[ "$found" = "time_domain, train: 120 of 120 rows are the window's own, 100 % fit the label
time_domain, test: 60 of 60 rows are the window's own, 100 % fit the label
tsfresh, train: 2 of 120 rows are the window's own, 52 % fit the label
tsfresh, test: 2 of 60 rows are the window's own, 47 % fit the label
rows of the first six windows: w0 w1 w10 w100 w101 w102
build_featureset: 0 of 777 features kept, 'misaligned: no'
in the windows' order: 114 of 777 features kept" ]
