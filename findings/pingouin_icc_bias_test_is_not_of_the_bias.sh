#!/usr/bin/env bash
# pingouin 0.7.0: the ICC table's test of bias between sessions is of the users, and is the same without bias and with.
#
# Versions:  pingouin 0.7.0, statsmodels 0.15.0, scikit-learn 1.9.1, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6.
#            matplotlib, seaborn, tabulate and pandas-flavor, which only plots, printing and methods of tables need, are
#            replaced.
# Input:     amplitudes of 12 users in 3 sessions with noise of 5: users that differ by 30 with sessions of the same
#            mean, the same ones with each session 40 higher than the one before, and users that don't differ with each
#            session 40 higher. Through intraclass_corr() with users as targets and sessions as raters.
# Behaviour: F and pval are documented as the test for systematic differences, the bias, between raters, a significant p
#            as that the raters' means differ, and the notes say that these two columns are a formal test of that. What
#            they hold is the mean square between targets by the error: the test whether targets differ, so whether the
#            ICC is above 0, in the rows of single and of averaged scores alike. In the rows A and C, raters' means are
#            taken out before, and no bias can change the value. The mean square between raters, which the test of bias
#            needs, is computed for ICC(A,1), but no column has its test. No error or warning is given, except that
#            pandas finds an argument that it uses outdated.
# Output:    users differ, sessions alike, means 100, 100, 100
#              ICC(1,1) 0.99, F 248.93, p 0.000
#              ICC(A,1) 0.99, F 228.19, p 0.000
#              ICC(C,1) 0.99, F 228.19, p 0.000
#              test of the sessions' means: F 0.00, p 1.000
#            users differ, each session 40 higher, means 100, 140, 180
#              ICC(1,1) 0.22, F 1.84, p 0.102
#              ICC(A,1) 0.38, F 228.19, p 0.000
#              ICC(C,1) 0.99, F 228.19, p 0.000
#              test of the sessions' means: F 1474.46, p 0.000
#            users alike, each session 40 higher, means 100, 140, 180
#              ICC(1,1) -0.49, F 0.01, p 1.000
#              ICC(A,1) 0.00, F 1.70, p 0.139
#              ICC(C,1) 0.19, F 1.70, p 0.139
#              test of the sessions' means: F 1474.46, p 0.000
# Why it matters: ICC is how one reports whether amplitude or frequency of surface EMG is the same again in a later
#            session, after new electrodes. Read as documented, the more reliable a measure is, the surer its bias:
#            sessions of the very same mean come with p 0.000, and with a bias the notes call ICC(1,1) invalid.
#            Sessions that rise by 80 % come with p 0.139, so without one.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile statsmodels==0.15.0 \
    scikit-learn==1.9.1 pandas==3.1.1 scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pingouin==0.7.0
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
from scipy.stats import f

for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.transforms", "matplotlib.cbook", "matplotlib.lines",
             "matplotlib.patches", "seaborn", "tabulate"):
    sys.modules[name] = MagicMock()
sys.modules["pandas_flavor"] = MagicMock(register_dataframe_method=lambda function: function)
from pingouin import intraclass_corr

warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)
random = np.random.default_rng(0)
users, sessions = 12, 3
noise = random.normal(0, 5, (users, sessions))
noise -= noise.mean(0)
differ = random.normal(0, 30, (users, 1))
differ -= differ.mean()
higher = np.array([0, 40, 80])
for name, values in (("users differ, sessions alike", 100 + differ + noise),
                     ("users differ, each session 40 higher", 100 + differ + noise + higher),
                     ("users alike, each session 40 higher", 100 + noise + higher)):
    table = pd.DataFrame({"user": np.repeat(np.arange(users), sessions),
                          "session": np.tile(np.arange(sessions), users), "amplitude": values.ravel()})
    found = intraclass_corr(table, targets="user", raters="session", ratings="amplitude").set_index("Type")
    print(f"{name}, means", ", ".join(f"{mean:.0f}" for mean in values.mean(0)))
    for kind in ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)"):
        row = found.loc[kind]
        print(f"  {kind} {row['ICC']:.2f}, F {row['F']:.2f}, p {row['pval']:.3f}")
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    freedom = sessions - 1, (users - 1) * (sessions - 1)
    own = users * values.mean(0).var(ddof=1) / (np.sum(rest ** 2) / freedom[1])
    print(f"  test of the sessions' means: F {own:.2f}, p {f.sf(own, *freedom):.3f}")
PY
)
echo "$found"
[ "$found" = "users differ, sessions alike, means 100, 100, 100
  ICC(1,1) 0.99, F 248.93, p 0.000
  ICC(A,1) 0.99, F 228.19, p 0.000
  ICC(C,1) 0.99, F 228.19, p 0.000
  test of the sessions' means: F 0.00, p 1.000
users differ, each session 40 higher, means 100, 140, 180
  ICC(1,1) 0.22, F 1.84, p 0.102
  ICC(A,1) 0.38, F 228.19, p 0.000
  ICC(C,1) 0.99, F 228.19, p 0.000
  test of the sessions' means: F 1474.46, p 0.000
users alike, each session 40 higher, means 100, 140, 180
  ICC(1,1) -0.49, F 0.01, p 1.000
  ICC(A,1) 0.00, F 1.70, p 0.139
  ICC(C,1) 0.19, F 1.70, p 0.139
  test of the sessions' means: F 1474.46, p 0.000" ]
