"""Retrieval in tiles against the whole matrix of cosines at once: neighbours, exclusion, ties, memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embridge.evaluation import majority, neighbours, zero_shot


def whole(queries, poses, k, query_code=None, pose_code=None):
    """(N, k) cosines and indices from the full matrix, in numpy."""
    q, p = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (queries, poses))
    cosine = (q @ p.T).max(1)
    if query_code is not None:
        cosine[query_code[:, None] == pose_code] = -np.inf
    index = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    cosine = np.take_along_axis(cosine, index, axis=1)
    return cosine, np.where(np.isinf(cosine), -1, index)


def tensors(*arrays):
    return [None if x is None else torch.as_tensor(x) for x in arrays]


sizes = st.integers(1, 40)


@given(
    n=st.integers(0, 12), m=st.integers(1, 4), g=st.integers(0, 40), d=st.integers(2, 9), k=st.integers(1, 50),
    groups=st.integers(0, 4), chunk=st.none() | sizes, pose_chunk=sizes, seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_tiles_give_what_the_whole_matrix_gives(n, m, g, d, k, groups, chunk, pose_chunk, seed):
    rng = np.random.default_rng(seed)
    queries, poses = rng.standard_normal((n, m, d)), rng.standard_normal((g, d))
    codes = (rng.integers(0, groups, n), rng.integers(0, groups, g)) if groups else (None, None)
    expected = whole(queries, poses, k, *codes)
    query_code, pose_code = tensors(*codes)
    found = neighbours(
        *tensors(queries, poses), k, query_code=query_code, pose_code=pose_code, chunk=chunk, pose_chunk=pose_chunk
    )
    assert found[0].dtype == torch.float64
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], atol=1e-12)


def test_the_default_tiles_are_more_than_one_here():
    """Both ways of the default sizes; float32 keeps its precision."""
    rng = np.random.default_rng(0)
    queries, poses = rng.standard_normal((300, 1, 5)).astype(np.float32), rng.standard_normal((20_000, 5))
    cosine, index = neighbours(*tensors(queries, poses), 10)
    assert cosine.dtype == torch.float32
    expected = whole(queries.astype(np.float64), poses, 10)
    np.testing.assert_allclose(cosine, expected[0], atol=1e-6)
    assert (index.numpy() == expected[1]).mean() > 0.999  # neighbours closer than rounding may change places
    assert (index >= 16_384).any() and (index < 16_384).any()


def test_scale_of_either_side_does_not_matter_and_inputs_stay_as_they_are():
    rng = np.random.default_rng(1)
    queries, poses = rng.standard_normal((20, 3, 6)), rng.standard_normal((50, 6))
    before = queries.copy(), poses.copy()
    expected = neighbours(*tensors(queries, poses), 4)
    scaled = neighbours(*tensors(queries * rng.uniform(0.1, 9, (20, 3, 1)), poses * rng.uniform(0.1, 9, (50, 1))), 4)
    np.testing.assert_array_equal(scaled[1], expected[1])
    np.testing.assert_array_equal(queries, before[0])
    np.testing.assert_array_equal(poses, before[1])


@pytest.mark.parametrize("pose_chunk", [1, 3, 4, 100])
def test_of_equal_poses_each_is_found_once(pose_chunk):
    """Seven copies of one pose among farther ones: whichever come first, no copy twice and none of the others."""
    poses = torch.eye(4).repeat_interleave(7, dim=0)
    cosine, index = neighbours(torch.eye(4)[[2]][:, None], poses, 5, pose_chunk=pose_chunk)
    assert cosine.tolist() == [[1] * 5]
    assert len(set(index[0].tolist())) == 5
    assert ((index >= 14) & (index < 21)).all()
    cosine, index = neighbours(torch.eye(4)[[2]][:, None], poses, 28, pose_chunk=pose_chunk)
    assert sorted(index[0].tolist()) == list(range(28))
    assert sorted(index[0, :7].tolist()) == list(range(14, 21))


def test_majority_counts_first_then_sums_then_takes_the_smaller_code():
    votes = torch.tensor([[0, 0, 1], [0, 1, 1], [2, 1, 0], [2, 1, 1], [0, 0, 1]])
    cosine = torch.tensor([[0.1, 0.1, 0.9], [0.9, 0.2, 0.1], [0.5, 0.5, 0.4], [0.9, -0.5, -0.6], [0.5, -1, 0.4]])
    cosine[4, 1] = -torch.inf  # no vote: one against one
    assert majority(votes, cosine, 3).tolist() == [0, 1, 1, 1, 0]


def test_one_bad_number_anywhere_is_told():
    poses = np.ones((1000, 8))
    for bad in (np.nan, np.inf, -np.inf):
        poses[517, 3] = bad
        with pytest.raises(ValueError, match="finite"):
            zero_shot(np.ones((2, 1, 8)), poses, np.zeros(1000))


MEMORY = """
import numpy as np, torch
from embridge.evaluation import zero_shot

def peak():  # MB; resource.getrusage would count the process that started this one
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
rng = np.random.default_rng(0)
poses, queries = (rng.standard_normal((n, 64), dtype=np.float32) for n in (100_000, 1_000))
labels, users = rng.integers(0, 4, 100_000), rng.integers(0, 9, 100_000)
groups = {"query_group": users[:1000], "gallery_group": users}
zero_shot(queries[:3, None], poses[:30], labels[:30])  # what libraries keep for themselves
before = peak()
zero_shot(queries[:, None], poses, labels, **groups)
tiled = peak() - before
cosine = torch.as_tensor(queries) @ torch.as_tensor(poses).T
print(tiled, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_is_a_few_tiles():
    """100,000 poses of 64 and 1,000 queries within 100 MB, as a million of 256 and ten thousand within 2 GB."""
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    tiled, whole_matrix = map(float, found.split())
    assert tiled < 100
    assert whole_matrix > 350  # 400 MB of cosines: the measure sees what it should
