#!/usr/bin/env bash
# confidenceinterval 1.0.5: 95 % intervals of macro F1 are three times too wide or too narrow, and 99 % is ignored.
#
# Versions:  confidenceinterval 1.0.5, statsmodels 0.15.0, scikit-learn 1.9.1, pandas 3.1.1, scipy 1.17.1, numpy 2.4.6.
# Input:     gestures that are equally frequent, of which one share of the windows is recognised and the others go to
#            the other gestures alike, so that precision, recall and F1, micro and macro, are all that share, and their
#            intervals by the delta method too are all the same; 400 draws each from these probabilities. Then 5
#            gestures of 20 windows with 80 % right, through f1_score() as in the README, with confidence_interval, and
#            through classification_report_with_ci() at confidence levels 0.5, 0.95 and 0.99. Printed are the intervals
#            of f1_score() with confidence_interval and with confidence_level, and in the report recall of a class and
#            micro F1.
# Behaviour: the intervals are documented as those of the delta method, the one of macro F1 by Takahashi and others. In
#            that, the source has a sum of two factors for their product, twice, and counts for shares. In those of
#            macro precision and recall and of F1 of one class, the outer product of the probabilities with themselves,
#            which the documentation has in the formula, is their squares. f1_score() takes confidence_interval=0.99,
#            which the README has in its examples, for 0.95. The report, whose confidence_level is documented, uses it
#            only for F1 of the classes, and 0.95 for all other columns and rows. No error or warning is given.
# Output:    10 gestures, 100 windows each, 99 % right, delta method +-0.6 %
#              micro F1 +-0.6 %, holds the true value in 92 %
#              macro F1 +-2.0 %, holds the true value in 100 %
#              macro recall +-0.8 %, holds the true value in 97 %
#            10 gestures, 100 windows each, 50 % right, delta method +-3.1 %
#              micro F1 +-3.1 %, holds the true value in 96 %
#              macro F1 +-2.5 %, holds the true value in 88 %
#              macro recall +-2.1 %, holds the true value in 81 %
#            50 gestures, 100 windows each, 50 % right, delta method +-1.4 %
#              micro F1 +-1.4 %, holds the true value in 94 %
#              macro F1 +-0.5 %, holds the true value in 53 %
#            asked 0.5: as README 0.722 to 0.878, else 0.773 to 0.827, report (0.584, 0.919), micro (0.722, 0.878)
#            asked 0.95: as README 0.722 to 0.878, else 0.722 to 0.878, report (0.584, 0.919), micro (0.722, 0.878)
#            asked 0.99: as README 0.722 to 0.878, else 0.697 to 0.903, report (0.584, 0.919), micro (0.722, 0.878)
# Why it matters: macro F1 and recall are what one reports where the gestures of surface EMG are not equally frequent,
#            and over many gestures. The interval of a classifier of 10 that is nearly always right is three times too
#            wide, so that a better one does not show. That of one of 50 that is right half the time is three times too
#            narrow, and two that do not differ seem to.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile statsmodels==0.15.0 \
    scikit-learn==1.9.1 pandas==3.1.1 scipy==1.17.1 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps confidenceinterval==1.0.5
cd "$place"
found=$("$place/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from confidenceinterval import classification_report_with_ci, f1_score, recall_score

warnings.simplefilter("error")
random = np.random.default_rng(0)
ways = (("micro F1", f1_score, "micro"), ("macro F1", f1_score, "macro"),
        ("macro recall", recall_score, "macro"))
for gestures, windows, right in ((10, 100, 0.99), (10, 100, 0.5), (50, 100, 0.5)):
    total = gestures * windows
    used = ways[:3 if gestures == 10 else 2]
    widths, held = {name: [] for name, _, _ in used}, {name: [] for name, _, _ in used}
    for _ in range(400):
        true = random.integers(0, gestures, total)
        other = (true + random.integers(1, gestures, total)) % gestures
        given = np.where(random.random(total) < right, true, other)
        for name, score, average in used:
            _, (low, high) = score(true, given, average=average)
            widths[name].append((high - low) / 2)
            held[name].append(low <= right <= high)
    print(f"{gestures} gestures, {windows} windows each, {100 * right:.0f} % right, delta method",
          f"+-{196 * np.sqrt(right * (1 - right) / total):.1f} %")
    for name, _, _ in used:
        print(f"  {name} +-{100 * np.mean(widths[name]):.1f} %,",
              f"holds the true value in {100 * np.mean(held[name]):.0f} %")

true = np.repeat(np.arange(5), 20)
given = np.where(np.arange(100) % 20 < 16, true, (true + 1 + np.arange(100) % 4) % 5)
for asked in (0.5, 0.95, 0.99):
    (_, named), (_, wanted) = (f1_score(true, given, average="micro", **{name: asked}) for name in
                               ("confidence_interval", "confidence_level"))
    report = classification_report_with_ci(true, given, confidence_level=asked).set_index("Class")
    columns = [tuple(map(float, report.loc[cell])) for cell in (("Class 0", "Recall CI"), ("micro", "F1-Score CI"))]
    print(f"asked {asked}: as README {named[0]:.3f} to {named[1]:.3f}, else",
          f"{wanted[0]:.3f} to {wanted[1]:.3f}, report {columns[0]}, micro {columns[1]}")
PY
)
echo "$found"
[ "$found" = "10 gestures, 100 windows each, 99 % right, delta method +-0.6 %
  micro F1 +-0.6 %, holds the true value in 92 %
  macro F1 +-2.0 %, holds the true value in 100 %
  macro recall +-0.8 %, holds the true value in 97 %
10 gestures, 100 windows each, 50 % right, delta method +-3.1 %
  micro F1 +-3.1 %, holds the true value in 96 %
  macro F1 +-2.5 %, holds the true value in 88 %
  macro recall +-2.1 %, holds the true value in 81 %
50 gestures, 100 windows each, 50 % right, delta method +-1.4 %
  micro F1 +-1.4 %, holds the true value in 94 %
  macro F1 +-0.5 %, holds the true value in 53 %
asked 0.5: as README 0.722 to 0.878, else 0.773 to 0.827, report (0.584, 0.919), micro (0.722, 0.878)
asked 0.95: as README 0.722 to 0.878, else 0.722 to 0.878, report (0.584, 0.919), micro (0.722, 0.878)
asked 0.99: as README 0.722 to 0.878, else 0.697 to 0.903, report (0.584, 0.919), micro (0.722, 0.878)" ]
