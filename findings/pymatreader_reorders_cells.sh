#!/usr/bin/env bash
# pymatreader 1.3.2: a table of trials is flattened, column by column, if the MATLAB file is of version 7.3.
#
# Versions:  pymatreader 1.3.2, mat73 0.65, hdf5storage 0.2.2, h5py 3.16.0, scipy 1.17.1, numpy 2.4.6.
# Input:     a cell array "trials" of two movements by three repetitions; a cell is EMG, four samples of two channels,
#            all equal to movement and repetition (23 is movement 2, repetition 3). Saved by scipy in MATLAB's default
#            format (level 5) and by hdf5storage in version 7.3.
# Behaviour: of level 5 read_mat() returns the rows of the table: a list of movements, each a list of repetitions. Of
#            7.3 it returns one list of all cells in the file's order, which is MATLAB's, down the columns. No warning
#            is given, and its README says that the output should be the same for both. mat73 reads the rows.
# Output:    pymatreader, level 5: 2 x 3, 11 12 13 21 22 23, trials[0][1] is (4, 2) of 12
#            pymatreader, 7.3: 6, 11 21 12 22 13 23, trials[0][1] is (2,) of 11
#            mat73, 7.3: 2 x 3, 11 12 13 21 22 23, trials[0][1] is (4, 2) of 12
# Why it matters: a cell array of movements by repetitions is MATLAB's way to keep trials of unequal length, and MATLAB
#            writes variables over 2 GB only in version 7.3. Labels laid out row by row then belong to other trials, and
#            trials[movement][repetition] takes one sample for a trial.
# Exits 1 if this changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pymatreader==1.3.2 mat73==0.65 hdf5storage==0.2.2 \
    h5py==3.16.0 scipy==1.17.1 numpy==2.4.6
cd "$place"
found=$("$place/venv/bin/python" - 2>/dev/null <<'PY'
import hdf5storage
import mat73
import numpy as np
import pymatreader
import scipy.io

trials = np.empty((2, 3), dtype=object)
for movement, repetition in np.ndindex(2, 3):
    trials[movement, repetition] = np.full((4, 2), 10.0 * (movement + 1) + repetition + 1)
scipy.io.savemat("v5.mat", {"trials": trials})
hdf5storage.savemat("v73.mat", {"trials": trials}, format="7.3", store_python_metadata=False, matlab_compatible=True)


def show(name, read):
    rows = isinstance(read[0], list)
    cells = [cell for row in read for cell in row] if rows else read
    size = f"{len(read)} x {len(read[0])}" if rows else len(read)
    order = " ".join(f"{cell.flat[0]:.0f}" for cell in cells)
    print(f"{name}: {size}, {order}, trials[0][1] is {read[0][1].shape} of {read[0][1].flat[0]:.0f}")


show("pymatreader, level 5", pymatreader.read_mat("v5.mat")["trials"])
show("pymatreader, 7.3", pymatreader.read_mat("v73.mat")["trials"])
show("mat73, 7.3", mat73.loadmat("v73.mat")["trials"])
PY
)
echo "$found"
[ "$found" = "pymatreader, level 5: 2 x 3, 11 12 13 21 22 23, trials[0][1] is (4, 2) of 12
pymatreader, 7.3: 6, 11 21 12 22 13 23, trials[0][1] is (2,) of 11
mat73, 7.3: 2 x 3, 11 12 13 21 22 23, trials[0][1] is (4, 2) of 12" ]
