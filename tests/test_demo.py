"""The page to play with: what it holds is the run's, and what it computes from that is what Python computes."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from browser import CHROMIUM, Browser
from conftest import TINY
from PIL import Image

from benchmarks import demo
from embridge import evaluation as ev
from embridge.data.hand import landmarks
from embridge.data.signals import emg_features
from embridge.data.splits import SETS
from embridge.errors import InputError
from embridge.experiments import find
from embridge.figures.animation import FRAMES
from embridge.losses import community_targets, perplexity
from embridge.paper import records
from embridge.paper.results import as_frame
from embridge.paper.table_cells import select
from embridge.pretrained import load
from embridge.run import cli
from embridge.study import Study

POLICIES = {"all": (True, True), "not-self": (False, True), "other-users": (False, False)}
KINDS = {"f4": "<f4", "i2": "<i2", "i1": "<i1"}


@pytest.fixture(scope="module")
def study(tiny_study):
    found = tiny_study()
    found.run(demo.SYSTEM)
    return found


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    return demo.write(study, tmp_path_factory.mktemp("page é") / "demo.html")


def data_of(page) -> dict:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S)
    return json.loads(text[1])


def unpacked(found: dict) -> np.ndarray:
    return (
        np.frombuffer(base64.b64decode(found["base64"]), KINDS[found["kind"]]).reshape(found["shape"]) * found["scale"]
    )


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


# ---- refusals -----------------------------------------------------------------------------------------------------


def test_without_a_run_it_names_the_command_that_makes_one(tmp_path, capsys):
    assert demo.main(["--profile", "smoke", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert (
        told.startswith("error: --demo shows a finished run of EMBridge on simulated, profile smoke")
        and told.count("\n") == 1
    )
    assert f"{tmp_path} holds no windows; make it with ./run_all.sh --train EMBridge " in told
    assert cli.parse(told.split("./run_all.sh ")[1].split()).out == tmp_path
    assert not list(tmp_path.iterdir())


def test_where_nothing_was_run_it_shows_what_comes_with_the_package(tmp_path, capsys):
    assert demo.main(["--out", str(tmp_path)]) == 0
    assert "holds no windows; make it with ./run_all.sh --train EMBridge " in capsys.readouterr().out
    found = data_of(tmp_path / "figures" / "simulated-quick-pretrained" / "demo.html")
    system = load(f"simulated-quick/{demo.SYSTEM}")
    frame = as_frame(records.read([system.study], [demo.SYSTEM])[0][0].rows)
    frame = select(frame, metric="balanced_accuracy", protocol="ZS", pooling="max", options="corpus=class set")
    for classes, shown in zip(SETS, found["sets"], strict=True):
        ids = system.study.splits.evaluation[classes]
        assert sorted(shown["window"]) == ids.tolist() and shown["u"]["shape"][0] == demo.QUERIES
        rows = select(frame, classes=classes, param_value="10")
        assert shown["accuracy"] == dict(zip(rows["gallery"], rows["value"], strict=True)) and len(rows) == 3
        assert {shown["n"]} == set(rows["n"]) and shown["n"] > len(ids), "scores are of all D_eval"


def test_windows_without_a_run_are_not_enough(tiny_study):
    study = tiny_study()
    study.store  # noqa: B018  the recordings were copied: known by another path
    before = files(study.out)
    with pytest.raises(InputError, match="no run of Pose-MAE; make it with AGAIN"):
        demo.check_finished(study, "AGAIN")
    study.run("Pose-MAE")
    with pytest.raises(InputError, match="no run of EMG-MAE; make it with AGAIN"):
        demo.check_finished(study, "AGAIN")
    assert not (study.out / "figures").exists() and set(before) < set(files(study.out))


def test_a_finished_run_is_not_refused_and_nothing_is_trained(study):
    before = files(study.out)
    demo.check_finished(study.changed(), "AGAIN")
    assert files(study.out) == before


def test_a_glove_has_no_hand_to_draw(tmp_path):
    study = Study("simulated-ninapro", out=tmp_path, size=TINY, device="cpu")
    for ask in (lambda: demo.check_finished(study, "AGAIN"), lambda: demo.gather(study)):
        with pytest.raises(InputError, match="20 joint angles, found 18 glove sensors in simulated-ninapro: choose"):
            ask()
    assert not list(tmp_path.iterdir())


def test_it_is_an_action_of_its_own():
    assert cli.parse(["--demo", "--profile", "smoke", "--tokens", "waveform"]).action == "demo"
    for other in (["--demo", "--seeds", "2"], ["--demo", "--check"]):
        with pytest.raises(InputError):
            cli.parse(other)


# ---- what it holds ------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_for_nothing(page):
    text = page.read_text("utf-8")
    for outside in ("http", "src=", "url(", "@import", "import(", "fetch(", "XMLHttp", "{{data}}"):
        assert outside not in text, outside
    assert re.findall(r"href=\"(.*?)\"", text) == ["data:,"] and text.count("<script") == 2
    assert page.stat().st_size < 3e6


def test_no_name_ends_the_script(study, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "gather", lambda *_: {"name": "</script><b>"})
    page = demo.write(study, tmp_path / "new" / "demo.html")
    assert "</script><b>" not in page.read_text("utf-8") and data_of(page) == {"name": "</script><b>"}


def test_what_is_played_with_is_drawn_from_d_eval_gestures_in_turn(study, page):
    for classes, found in zip(SETS, data_of(page)["sets"], strict=True):
        ids, gestures = np.array(found["window"]), study.splits.table.gesture
        assert sorted(ids) == study.splits.evaluation[classes].tolist() and found["n"] == len(ids)
        n = len(study.splits.classes[classes])
        assert gestures[ids[:n]].nunique() == n and found["u"]["shape"][0] == demo.QUERIES
        assert found["label"] == study.splits.labels(classes, ids).tolist()
        users = study.splits.table.user[ids]  # "sim001", and every fourth of another form
        assert found["user"] == [f"user {int(user.removeprefix('sim'))}" for user in users]
        assert 0 < unpacked(found["emg"]).std() and unpacked(found["emg"]).shape == (demo.QUERIES, 16, 2000)
        angles = study.store.read_pose(ids[: demo.QUERIES]).numpy()
        np.testing.assert_allclose(unpacked(found["pose"]), angles, atol=1e-4)
        coarse = study.store.read_pose(ids).numpy().reshape(len(ids), 20, 20, 4).mean(-1)
        np.testing.assert_allclose(unpacked(found["frames"]), coarse, atol=0.02)


def test_the_traces_are_the_windows_own(study):
    for window in study.splits.evaluation["in"][:2]:
        seen = emg_features(demo.filtered(study, window), 80)  # what the store keeps of the very samples
        np.testing.assert_allclose(seen, study.store.emg_f16[window], atol=2e-3)


def test_a_large_gallery_is_drawn_and_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr(demo, "GALLERY", 9)
    found = demo.gather(study)["sets"][0]
    assert len(found["window"]) == found["v"]["shape"][0] == 9 < found["n"]


# ---- what it computes ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here (Debian, Ubuntu: apt-get install chromium), so nobody looked at the page itself")
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def expected(study, classes: str, ids: np.ndarray, policy: str):
    """Cosines, windows and votes of the gallery ``ids``, whose first are asked for, as the study scores them."""
    queries, poses = study.emg_queries(demo.SYSTEM, ids[: demo.QUERIES]), study.pose_embeddings(ids, demo.SYSTEM)
    codes = study.splits.exclusion(policy, ids)
    codes = (None, None) if codes is None else tuple(map(torch.as_tensor, (codes[: demo.QUERIES], codes)))
    labels = torch.as_tensor(study.splits.labels(classes, ids))
    k = study.profile.evaluation.k
    cosine, index = ev.neighbours(queries, poses, k, labels=labels, query_code=codes[0], pose_code=codes[1])
    return cosine, index, ev.zero_shot(queries, poses, labels, k=k, query_group=codes[0], gallery_group=codes[1])


def agree(study, browser):
    """Neighbours and votes of every window, and soft targets over a grid, as Python's to 1e-4; how many votes."""
    sets, compared = browser.js("DATA.sets.map((s) => s.window)"), 0
    for s, (classes, ids) in enumerate(zip(SETS, map(np.array, sets), strict=True)):
        for policy, (own_window, own_user) in POLICIES.items():
            cosine, index, votes = expected(study, classes, ids, policy)
            call = f"nearest(w, {json.dumps(own_window)}, {json.dumps(own_user)})"
            found = browser.js(f"WINDOWS.filter((w) => w.s === {s}).map((w) => [{call}, vote(w, {call}.poses)])")
            for q, (near, vote) in enumerate(found):
                known = cosine[q].isfinite()
                np.testing.assert_allclose([p["cosine"] for p in near["poses"]], cosine[q][known], atol=1e-4)
                clear = (cosine[q][known].diff().abs() > 1e-4).all()  # else 16 bits may swap two of them
                assert not clear or [p["j"] for p in near["poses"]] == index[q][known].tolist()
                assert vote["winner"] == votes[q]
                chosen = torch.as_tensor(study.splits.labels(classes, ids))[index[q][known]] == int(votes[q])
                assert vote["share"] == pytest.approx(chosen.float().mean().item())
                total = vote["classes"][vote["winner"]]["sum"]
                assert total == pytest.approx(cosine[q][known][chosen].sum().item(), abs=1e-3)
                compared += 1
    objective = find(demo.SYSTEM).objective
    centroids = torch.as_tensor(study.communities(objective, *study.pose_space(demo.SYSTEM)))
    v = torch.cat([study.pose_embeddings(np.array(ids)[: demo.BATCH], demo.SYSTEM) for ids in sets])
    for affinity in ("dot", "cosine"):
        for tau_s in (0.02, 0.1, 0.5):
            for k_c in (1, 5, None):
                how = {"affinity": affinity, "tau_s": tau_s, "k_c": k_c}
                y = community_targets(v, centroids, replace(objective, **how))
                found = browser.js(f"softTargets({json.dumps(how)}).map((row) => [[...row.y], row.perplexity])")
                np.testing.assert_allclose([row[0] for row in found], y, atol=1e-4)
                assert np.mean([row[1] for row in found]) == pytest.approx(perplexity(y), rel=1e-3)
    return compared


def test_the_page_computes_what_python_does(study, page, browser):
    browser.open(page)
    assert agree(study, browser) == len(SETS) * demo.QUERIES * len(POLICIES)
    angles = np.random.default_rng(0).uniform(-0.5, 1.5, (4, 20))
    for left, sign in (("true", -1), ("false", 1)):
        found = [browser.js(f"landmarks({a.tolist()}, {left})") for a in angles]
        np.testing.assert_allclose(found, landmarks(angles) * [sign, 1, 1], atol=1e-4)
    assert not browser.told


@pytest.mark.parametrize(("cosines", "winner"), [((0.9, 0.95), 1), ((0.9, 0.9), 0), ((0.9, 0.5, 0.3), 1), ((), -1)])
def test_a_tied_vote_goes_to_the_larger_sum_then_to_the_smaller_class(page, browser, cosines, winner):
    browser.open(page)
    poses = json.dumps([{"j": j, "cosine": cosine} for j, cosine in enumerate(cosines)])
    found = browser.js(f"vote({{set: {{label: [0, 1, 1], classes: ['a', 'b']}}}}, {poses})")
    assert found["winner"] == winner and found["share"] == pytest.approx((0, 1, 1 / 2, 2 / 3)[len(cosines)])


def change(browser, name: str, value) -> None:
    """Move a control as a hand would, and tell the page."""
    browser.js(f"(() => {{ const c = $('{name}'); c.value = {json.dumps(value)}; "
               "c.dispatchEvent(new Event(c.tagName === 'SELECT' ? 'change' : 'input')); })()")  # fmt: skip


def test_every_control_does_what_it_says(study, page, browser):
    browser.open(page)
    text = lambda name: browser.js(f"$('{name}').textContent")  # noqa: E731
    picture = lambda name: browser.js(f"$('{name}').toDataURL()")  # noqa: E731
    assert "Simulated" in text("notes") and "Smoke" in text("notes") and "EMBridge" in text("system")
    ids = np.array(data_of(page)["sets"][0]["window"])
    _, index, votes = expected(study, "in", ids, "all")
    names = data_of(page)["sets"][0]["classes"]
    assert f"Vote: {names[votes[0]]}, which is" in text("verdict") and f"{len(ids)} poses" in text("gallery-size")
    assert browser.js("document.querySelectorAll('#near li').length") == min(10, len(ids))

    hand, traces = picture("hand"), picture("emg")
    change(browser, "time", 0.1)
    assert text("clock") == "0.20 s" and picture("hand") != hand and picture("emg") != traces
    browser.js("$('play').click()")
    assert browser.js("new Promise((done) => setTimeout(() => done(state.t), 400))") != 0.1
    browser.js("$('play').click()")
    assert "play" in text("play") and browser.js("state.playing") is False

    browser.js("$('own-window').click()")
    assert f"{len(ids) - 1} poses" in text("gallery-size") and "this window" not in text("near")
    browser.js("$('own-user').click()")
    others = sum(user != data_of(page)["sets"][0]["user"][0] for user in data_of(page)["sets"][0]["user"])
    assert f"{others} poses" in text("gallery-size") and "this person" not in text("near")
    assert browser.js("$('own-window').disabled && !$('own-window').checked")
    browser.js("$('own-user').click()")
    assert not browser.js("$('own-window').disabled") and f"{len(ids) - 1} poses" in text("gallery-size")

    trained = text("spread")
    for move in (
        lambda: change(browser, "tau", 0),
        lambda: change(browser, "kc", 1),
        lambda: browser.js("document.querySelector('[value=cosine]').click()"),
    ):
        before = text("spread"), text("batch")
        move()
        assert (text("spread"), text("batch")) != before
    assert text("tau-value") == "1.000" and text("kc-value").startswith("1 of")
    browser.js("$('reset').click()")
    assert text("spread") == trained

    browser.js("$('next').click()")
    assert browser.js("$('window').value") == "1"
    change(browser, "window", "11")
    assert data_of(page)["sets"][1]["user"][5] in text("hand-caption") and "unseen" in text("hand-caption")
    browser.js("$('before').click()")
    assert browser.js("$('window').value") == "10"
    assert not browser.told and set(browser.asked) == {page.as_uri()}


def test_it_works_by_keyboard_and_says_what_it_is_without_colours(page, browser):
    browser.open(page)
    reached = []
    for _ in range(13):
        browser.press("Tab", 9)
        reached.append(browser.js("document.activeElement.id || document.activeElement.value"))
    assert (
        reached
        == ["window", "before", "next", "play", "time", "own-window", "own-user", "tau", "kc", "dot", "reset"]
        + reached[11:]
    )
    browser.js("$('time').focus()")
    before = browser.js("state.t")
    browser.press("ArrowRight", 39)
    assert browser.js("state.t") == pytest.approx(before + 0.01)
    browser.js("$('own-user').focus()")
    browser.press(" ", 32, " ")
    assert browser.js("state.ownUser") is False
    browser.js("document.querySelector('[value=dot]').focus()")
    browser.press("ArrowRight", 39)
    assert browser.js("state.soft.affinity") == "cosine"
    assert browser.js(
        "[...document.querySelectorAll('input, select, button')].every((c) => c.labels?.length || c.textContent)"
    )
    assert browser.js("[...document.querySelectorAll('canvas')].every((c) => c.ariaLabel || c.ariaHidden)")
    assert browser.js("[...document.querySelectorAll('#near li')].every((li) => /[✓✗]/.test(li.textContent))")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_of_a_phone(page, browser, width):
    browser.open(page, width, 800)
    assert browser.js("document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)"
    assert browser.js(f"{wide}.map((e) => e.id || e.tagName)") == []
    assert browser.js("[...document.querySelectorAll('canvas')].every((c) => c.width > 30 && c.height > 30)")


# ---- the animation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", SETS)
def test_its_windows_are_recognised_as_the_evaluation_does_among_other_users(study, classes):
    shown, ids = demo.recognised(study, demo.SYSTEM, classes, 3), demo.in_turn(study, classes)[:3]
    everyone, user = (
        study.splits.evaluation[classes],
        study.splits.table["user"].astype("category").cat.codes.to_numpy(),
    )
    labels = study.splits.labels(classes, everyone)
    answers = ev.zero_shot(
        study.emg_queries(demo.SYSTEM, ids), study.pose_embeddings(everyone, demo.SYSTEM), labels,
        k=study.profile.evaluation.k, query_group=user[ids], gallery_group=user[everyone],
    )  # fmt: skip
    names = [demo.style.pretty(name) for name in study.splits.classes[classes]]
    assert [window.answer for window in shown] == [names[answer] for answer in answers]
    assert [window.truth for window in shown] == [names[c] for c in study.splits.labels(classes, ids)]
    for window, i in zip(shown, ids, strict=True):
        assert window.emg.shape[0] == 16 and np.array_equal(window.pose, study.store.read_pose(np.array([i]))[0])
        assert len(window.near) == len(window.names) <= demo.SHOWN and 0 < window.votes <= window.k
        assert window.names.count(window.answer) <= window.votes


def test_it_is_one_small_file(study, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "ANIMATED", 1)
    file = demo.animate(study, tmp_path / "a.gif")
    with Image.open(file) as movie:
        assert 2 < movie.n_frames <= 2 * 2 * FRAMES and movie.info["loop"] == 0 and movie.size == (760, 400)
    assert file.stat().st_size < 1.5e6 / 3
