#!/usr/bin/env bash
# pyriemann 0.12: after an update by a billionth, Whitening exchanges electrodes, and gestures are taken for others.
#
# Versions:  pyriemann 0.12, array-api-compat 1.16.0, array-api-extra 0.11.5, scikit-learn 1.9.1, scipy 1.17.1,
#            numpy 2.4.6. matplotlib, which only its plots need, is replaced.
# Input:     covariance matrices of 40 windows of 4 electrodes, 10 windows each of 4 gestures, of which each makes
#            another electrode 9 times as strong as at rest. The power at rest rises from electrode to electrode, falls,
#            or rises with crosstalk of 30 % between neighbours; in a second session it differs a little. Through
#            Whitening() with its defaults, then MDM() fitted to the first session's windows. Then partial_fit() with
#            an update rate of 0, of 1e-9, and of 1 with the second session.
# Behaviour: dim_red=None, the default, is documented as whitening without dimension reduction, partial_fit() as partial
#            fit of the whitening filters, whose rate is 0 for no update and 1 for full update of the mean. fit() takes
#            the symmetric inverse square root of the mean then, which leaves electrodes in place. partial_fit() takes
#            principal components, sorted from the strongest, as for a dimension reduction. Both make the mean the
#            identity, but what comes out is turned against what came out before, however small the update: here the
#            electrodes are in opposite order. Principal components from the start stay. No error or warning is given.
# Output:    power rising from electrode to electrode
#              fitted: right 100 %, mean is the identity True
#              update rate 0: right 100 %, mean is the identity True
#              update rate 1e-9: right 0 %, mean is the identity True
#              update rate 1, second session: right 0 %, mean is the identity True
#              fitted to the second session: right 100 %, mean is the identity True
#              first window: [3.01 0.33 0.33 0.34] after update rate 1e-9: [0.34 0.33 0.33 3.01]
#              principal components from the start, changed by update rate 1e-9: 0.0
#            power falling from electrode to electrode
#              fitted: right 100 %, mean is the identity True
#              update rate 0: right 100 %, mean is the identity True
#              update rate 1e-9: right 100 %, mean is the identity True
#              update rate 1, second session: right 100 %, mean is the identity True
#              fitted to the second session: right 100 %, mean is the identity True
#            power rising with crosstalk from electrode to electrode
#              fitted: right all, mean is the identity True
#              update rate 0: right all, mean is the identity True
#              update rate 1e-9: right not all, mean is the identity True
#              update rate 1, second session: right not all, mean is the identity True
#              fitted to the second session: right all, mean is the identity True
# Why it matters: whitening by the mean of a session makes covariances of surface EMG comparable after the armband has
#            moved, and partial_fit() is there to follow it window by window. The classifier is fitted to the symmetric
#            form; with the first update, each gesture is taken for another one, though the mean of the whitened
#            matrices still is what it should be.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile scikit-learn==1.9.1 scipy==1.17.1 \
    numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pyriemann==0.12 array-api-compat==1.16.0 \
    array-api-extra==0.11.5
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = MagicMock()
from pyriemann.classification import MDM
from pyriemann.preprocessing import Whitening

warnings.simplefilter("error")
windows = np.arange(40)
gesture = windows % 4
varied = 1 + 0.1 * np.sin(np.outer(windows, [1, 2, 3, 4]))
stronger = 1 + 8 * (gesture[:, None] == np.arange(4))
apart = np.eye(4)
crosstalk = apart + 0.3 * (np.eye(4, k=1) + np.eye(4, k=-1))


def session(powers, mixing):
    return np.array([mixing @ np.diag(row) @ mixing.T for row in powers * stronger * varied])


for name, rest, moved, mixing in (("rising", [1, 2, 3, 4], [1.1, 2.4, 2.7, 4.2], apart),
                                  ("falling", [4, 3, 2, 1], [4.2, 2.7, 2.4, 1.1], apart),
                                  ("rising with crosstalk", [1, 2, 3, 4], [1.1, 2.4, 2.7, 4.2], crosstalk)):
    print("power", name, "from electrode to electrode")
    first, second = session(rest, mixing), session(moved, mixing)
    model = MDM().fit(Whitening().fit_transform(first), gesture)

    def told(what, whitening, matrices):
        white = whitening.transform(matrices)
        right = np.mean(model.predict(white) == gesture)
        words = "all" if right == 1 else "not all"
        centred = np.allclose(white.mean(0), np.eye(4), atol=1e-6)
        share = f"{100 * right:.0f} %" if mixing is apart else words
        print(f"  {what}: right {share}, mean is the identity {centred}")

    whitening = Whitening().fit(first)
    told("fitted", whitening, first)
    told("update rate 0", whitening.partial_fit(second[:1], alpha=0), first)
    told("update rate 1e-9", whitening.partial_fit(second[:1], alpha=1e-9), first)
    told("update rate 1, second session", whitening.partial_fit(second, alpha=1), second)
    told("fitted to the second session", Whitening().fit(second), second)
    if name == "rising":
        shown = []
        for dim_red in (None, {"n_components": 4}):
            whitening = Whitening(dim_red=dim_red).fit(first)
            before = whitening.transform(first)
            after = whitening.partial_fit(second[:1], alpha=1e-9).transform(first)
            shown.append((before, after))
        before, after = (np.round(np.diag(white[0]), 2) for white in shown[0])
        print("  first window:", before, "after update rate 1e-9:", after)
        change = np.abs(shown[1][1] - shown[1][0]).max()
        print(f"  principal components from the start, changed by update rate 1e-9: {change:.1f}")
PY
)
echo "$found"
[ "$found" = "power rising from electrode to electrode
  fitted: right 100 %, mean is the identity True
  update rate 0: right 100 %, mean is the identity True
  update rate 1e-9: right 0 %, mean is the identity True
  update rate 1, second session: right 0 %, mean is the identity True
  fitted to the second session: right 100 %, mean is the identity True
  first window: [3.01 0.33 0.33 0.34] after update rate 1e-9: [0.34 0.33 0.33 3.01]
  principal components from the start, changed by update rate 1e-9: 0.0
power falling from electrode to electrode
  fitted: right 100 %, mean is the identity True
  update rate 0: right 100 %, mean is the identity True
  update rate 1e-9: right 100 %, mean is the identity True
  update rate 1, second session: right 100 %, mean is the identity True
  fitted to the second session: right 100 %, mean is the identity True
power rising with crosstalk from electrode to electrode
  fitted: right all, mean is the identity True
  update rate 0: right all, mean is the identity True
  update rate 1e-9: right not all, mean is the identity True
  update rate 1, second session: right not all, mean is the identity True
  fitted to the second session: right all, mean is the identity True" ]
