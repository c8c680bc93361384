"""Hands that MPRL's head reads from EMG alone: errors, their rows, and the animation, of a tiny trained study."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from embridge import figures
from embridge.errors import InputError
from embridge.figures.beyond import FRAMES
from embridge.paper import decoded
from embridge.paper.decoded import CONSTANT, DIFFERENCE, HIDDEN, SYSTEM
from embridge.paper.results import Page
from embridge.paper.scoring import mean_pose_rows


@pytest.fixture(scope="module")
def study(tiny_study):
    return tiny_study()


def test_emg_alone_is_read_and_every_pose_token_is_hidden(study):
    ids, model = study.splits.evaluation["in"][:7], study.run("EMBridge").model
    answer = decoded.decoded(study, ids)
    assert answer.shape == study.reader().pose(ids).shape and answer.std(0).max() > 1e-6, "another window, another hand"
    with torch.no_grad():
        tokenizer = model.pose_tokenizer
        tokens = model.qformer.mask_token + tokenizer.positions  # no row of it is of a pose
        states = model.qformer.pose_states(model.queries(study.reader().emg(ids)), tokens.expand(7, -1, -1))
        patches = model.decode_pose(states).unflatten(2, (20, tokenizer.patch))  # (7, L, J, patch)
    torch.testing.assert_close(answer, patches.transpose(1, 2).flatten(2))


def test_pose_mae_s_answer_to_nothing_is_the_same_whatever_the_window(study):
    answer, splits = decoded.of_nothing(study), study.splits
    other = SimpleNamespace(run=study.run, reader=study.reader, splits=SimpleNamespace(pretrain=splits.pretrain[5:]))
    torch.testing.assert_close(answer, decoded.of_nothing(other))
    assert answer.shape == study.reader().pose(splits.pretrain[:1]).shape[1:] and answer.isfinite().all()


def test_rows_are_mean_errors_in_degrees_and_less_the_constant_s(study):
    rows = pd.DataFrame(decoded.decoded_rows(study))
    constant = pd.DataFrame(mean_pose_rows(study)).set_index("classes")["value"]
    for classes, ids in study.splits.evaluation.items():
        own = rows[rows["classes"] == classes].set_index(["system", "metric"])["value"]
        truth = study.store.read_pose(ids)
        angles = decoded.decoded(study, ids) * study.reader().pose_std + study.reader().pose_mean
        error = np.rad2deg((angles - truth).abs().mean().item())
        assert own[SYSTEM, "angle_error_deg"] == pytest.approx(error, rel=1e-4)
        assert own[f"{CONSTANT} - {SYSTEM}", DIFFERENCE] == pytest.approx(constant[classes] - error, rel=1e-3, abs=1e-3)
        less = own[HIDDEN, "angle_error_deg"] - own[SYSTEM, "angle_error_deg"]
        assert own[f"{HIDDEN} - {SYSTEM}", DIFFERENCE] == pytest.approx(less)
        joints = own.xs("joint_error_deg", level=1)
        assert joints[SYSTEM].mean() == pytest.approx(error, rel=1e-4) and len(joints[SYSTEM]) == 20
        assert joints[f"{CONSTANT}, by joint"].mean() == pytest.approx(constant[classes], rel=1e-3)


def test_a_glove_has_no_degrees_and_tokens_are_no_pose():
    glove = SimpleNamespace(run=lambda name: SimpleNamespace(key=""), windows=SimpleNamespace(n_joints=18), whole=True)
    glove.splits = SimpleNamespace(evaluation={"in": np.arange(3)})
    assert decoded.decoded_rows(glove) == []
    glove.run = lambda name: SimpleNamespace(model=SimpleNamespace(mprl_target="token"))
    with pytest.raises(InputError, match="tokens, which are no pose"):
        decoded.decoded(glove, np.arange(3))


def test_the_window_of_the_median_error_of_each_of_the_first_users(study):
    found, table = decoded.median_windows(study, 2), study.splits.table
    ids = np.concatenate([*study.splits.evaluation.values()])
    error = pd.Series(decoded.errors(study, ids)[SYSTEM].mean(1), index=ids)
    users = sorted(set(table["user"].iloc[ids]))[:2]
    assert table["user"].iloc[found].tolist() == users
    for user, window in zip(users, found, strict=True):
        own = error[table["user"].iloc[ids].to_numpy() == user]
        assert (own < error[window]).sum() == (len(own) - 1) // 2


def test_the_animation_shows_them_in_little_room(study, tmp_path):
    ids = decoded.median_windows(study, 2)
    hands = decoded.hands(study, ids)
    np.testing.assert_allclose(hands[0][1], study.store.read_pose(ids[:1])[0].numpy())
    off = np.rad2deg(np.abs(hands[1][1] - hands[1][2]).mean())
    assert off == pytest.approx(decoded.errors(study, ids[1:])[SYSTEM].mean(), rel=1e-4)
    png = figures.decoded_hands(hands, seconds=2.0, stamp="simulated data")
    page = Page("99_hands", tmp_path, context={"simulated": True})
    assert page.animation(png, "hands", "Two hands.").data == "> Simulated data. Two hands."
    assert (tmp_path / "99_hands" / "hands.png").read_bytes() == png
    page.write()
    assert (tmp_path / "99_hands" / "hands.png").exists() and "Simulated data. Two hands." in (
        tmp_path / "99_hands" / "results.json"
    ).read_text(encoding="utf-8")
    with PIL.Image.open(io.BytesIO(png)) as picture:
        assert picture.n_frames == FRAMES and picture.info["duration"] == 100 and len(png) < 400_000
        seen = []
        for frame in (0, FRAMES // 2):
            picture.seek(frame)
            seen.append(np.asarray(picture.convert("RGB")))
    assert (seen[0] != seen[1]).any(), "hands move"
