"""Exact nearest neighbours by cosine, one tile of cosines at a time, and their vote (E 3.1, METHOD 8)."""

import torch
from torch.nn.functional import normalize

TILE = 2**22  # cosines in a tile: 16 MB in float32, which a processor's cache still holds
POSES = 2**14  # poses in a tile


@torch.no_grad()
def neighbours(
    queries, poses, k: int, *, query_code=None, pose_code=None, chunk: int | None = None, pose_chunk: int = POSES
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k poses with the highest cosine to each window, best first; of a window's M queries the closest counts.

    Nothing as large as an input is made: both sides are l2-normalised in parts, and a tile of cosines is reduced to
    k a window before the next one takes its place.

    Parameters
    ----------
    queries : (N, M, d) tensor, float32 or float64; decides precision and device
    poses : (G, d) tensor; both finite, of any length
    query_code, pose_code : (N,), (G,) int tensors or None; a pose whose code equals the query's is left out
    chunk, pose_chunk : windows and poses in a tile; they change speed and memory, not the result

    Returns
    -------
    cosine : (N, k or G where that is less), -inf behind the last pose that is left
    index : the same shape, int64, into ``poses``; -1 there. Which of equal cosines comes first is not defined
    """
    (n_windows, n_queries, _), n_poses = queries.shape, len(poses)
    k = min(k, n_poses)
    best = queries.new_full((n_windows, k), -torch.inf)
    index = torch.full_like(best, -1, dtype=torch.int64)
    pose_chunk = min(pose_chunk, max(1, n_poses))
    chunk = min(chunk or max(1, TILE // (n_queries * pose_chunk)), max(1, n_windows))
    # one tile for all: asking for memory anew each time makes the product three times as slow
    tile = queries.new_empty(chunk * n_queries, pose_chunk)
    for j in range(0, n_poses, pose_chunk):
        part = normalize(poses[j : j + pose_chunk].to(queries), dim=-1)
        for i in range(0, n_windows, chunk):
            rows = slice(i, i + chunk)
            unit = normalize(queries[rows], dim=-1).flatten(0, 1)  # again for each part of the poses: 1 % of the time
            cosine = torch.mm(unit, part.T, out=tile[: len(unit), : len(part)])
            cosine = cosine.unflatten(0, (-1, n_queries))  # (n, M, poses)
            cosine = cosine.amax(1) if n_queries > 1 else cosine[:, 0]  # amax of one would copy the tile
            if query_code is not None:
                cosine.masked_fill_(query_code[rows, None] == pose_code[j : j + pose_chunk], -torch.inf)
            value, at = cosine.topk(min(k, len(part)))
            value, at = torch.cat([best[rows], value], dim=1), torch.cat([index[rows], at + j], dim=1)
            best[rows], order = value.topk(k)
            index[rows] = at.gather(1, order)
    return best, index.masked_fill_(best.isinf(), -1)


def majority(votes, cosine, n_classes: int):
    """(n, k) class codes and cosines (-inf: no vote) -> (n,) codes; ties by summed cosine, then the smaller code."""
    valid = cosine.isfinite()
    shape = (len(votes), n_classes)
    count = torch.zeros(shape, dtype=torch.int64, device=votes.device).scatter_add_(1, votes, valid.long())
    cosine = cosine.double().where(valid, 0.0)
    total = torch.zeros(shape, dtype=torch.float64, device=votes.device).scatter_add_(1, votes, cosine)
    return total.masked_fill(count < count.amax(1, keepdim=True), -torch.inf).argmax(1)
