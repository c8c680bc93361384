"""Answers to the exercises of chapter 05; run with a profile, ``smoke`` by default, it prints the numbers."""

import sys

import numpy as np
import torch

from embridge.data.batches import noise
from embridge.paper import explore
from embridge.study import Study


def attention(queries: np.ndarray, pose: np.ndarray, may_attend: np.ndarray) -> np.ndarray:
    """One attention with identity matrices, residual included, as in the chapter."""
    x = np.vstack([queries, pose])
    weights = np.exp(x @ x.T / np.sqrt(2)) * may_attend
    return x + weights / weights.sum(axis=1, keepdims=True) @ x


def answers(study: Study) -> None:
    """Print them, of a study at any profile."""
    # 1. Q' now moves with the pose. In several blocks the queries could carry the visible pose to the masked
    #    tokens, and the loss would fall without anybody reading EMG.
    queries, pose = np.array([[2.0, 0], [0, 2]]), np.array([[1.0, 1], [0.5, 0.5], [1, -1]])
    before, after = (attention(queries, p, np.ones((5, 5)))[:2] for p in (pose, pose * [[1], [1], [-1]]))
    assert not np.allclose(before, after)
    print("1. Q' was", before.round(2).tolist(), "and is", after.round(2).tolist())
    # 2. Another's EMG tells whether the queries are listened to, not what own EMG is worth: it misleads whoever
    #    listens, so a large gap between the first two says that EMG is heard, not that it is needed. That is told by
    #    the straight line between the visible neighbours, which hears no EMG: the nearer to 0 its error, the less is
    #    left to tell, and with r as small the loss can be won without EMG. With r near 1 there is little pose to build
    #    on. Half is E's choice.
    ids = explore.held_out_windows(study)
    for name, of in (("own", None), ("another's", np.roll(ids, len(ids) // 2))):
        guess = explore.pose_beside_queries(study, "EMBridge", ids, of, ratio=0.05)
        print(f"2. {name} EMG: {explore.hidden_error(*guess):.3f}")
    plain = explore.hidden_patch_errors(study, "Pose-MAE", ids, batch=len(ids), ratio=0.05)
    print("2. without EMG:", ", ".join(f"{name} {error:.3f}" for name, error in plain.items()))
    # 3. With detached queries no gradient arrives (None): MPRL would then teach the pose side alone.
    model, reader = study.run("EMBridge").model, study.reader()
    pose, table = reader.pose(ids[:8]), noise(0, 0, "exercise", len(ids[:8]), model.pose_tokenizer.n_tokens)
    for name, detached in (("as it is", False), ("detached", True)):
        model.zero_grad()
        queries = model.queries(reader.emg(ids[:8]))
        model.mprl(queries.detach() if detached else queries, pose, table.to(pose.device), 0.5).backward()
        found = model.encoder.cls.grad
        assert (found is None) == detached
        print(f"3. {name}: gradient {0.0 if found is None else torch.linalg.vector_norm(found).item():.2e}")
    model.zero_grad()


if __name__ == "__main__":
    answers(Study("simulated", sys.argv[1] if len(sys.argv) > 1 else "smoke"))
