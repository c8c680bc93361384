"""The simulated EMG, held to what is known of a forearm (sources in CALIBRATION.md beside the simulator)."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch
from scipy.stats import kurtosis, spearmanr
from simulated import made
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from embridge.config import as_json, fingerprint
from embridge.data import emg2pose
from embridge.simulator import VERSION, emg, gestures, stream
from embridge.simulator.anatomy import MUSCLE_NAMES, MUSCLES, TERRITORIES, draw_band, draw_forearm
from embridge.simulator.emg import activation
from embridge.simulator.physiology import PHYSIOLOGY

CLASSES = (*emg2pose.IN_CLASSES, *emg2pose.UNSEEN_CLASSES)


def test_constants_are_the_calibrated_ones():
    """Frozen: what is trained and shown is of these people."""
    poses = {name: pose.tolist() for name, pose in gestures.POSES.items()}
    found = fingerprint(VERSION, as_json(PHYSIOLOGY), MUSCLES, poses, gestures.STAGES, gestures.TEMPO)
    assert found == "587cd7f07c6d", "write the change into CALIBRATION.md, raise VERSION and renew the hash"


# ---- muscles and electrodes


@pytest.fixture(scope="module")
def forearms():
    """Recordings of six users; channels with the mains and artefacts that everyone has."""
    stages = ("HandClawGraspFlicks", "HookEmHornsOKScissors", "WristFlexionAbduction")
    return [made(user=f"p{u}", stage=stages[u % 3], seconds=16.0) for u in range(6)]


def test_there_are_enough_muscles_and_each_has_work():
    assert len(MUSCLES) >= 20
    for name, (angle, depth, width, strength, moments) in MUSCLES.items():
        assert 0 <= angle < 360 and 0 < depth < 25 and width > 0 and strength > 0 and moments, name


def test_median_frequency_is_that_of_surface_emg(forearms):
    medians = []
    for recording in forearms:
        f, power = welch(recording.emg, 2000.0, nperseg=1024, axis=0)
        share = np.cumsum(power, axis=0) / power.sum(axis=0)
        medians += [f[np.argmax(share[:, c] >= 0.5)] for c in range(16)]
    assert 80 < np.median(medians) < 150
    assert np.mean([80 < m < 150 for m in medians]) > 0.9  # the others are electrodes over relaxed muscles: noise


def held(force, p=PHYSIOLOGY):
    """EMG (40000, 16) of all muscles of six users held at one activation, in silence but for the sensors' noise."""
    quiet, rng, out = replace(p, mains=0.0, artefacts_per_second=0.0, weak_channel_share=0.0), stream(1, "held"), []
    for user in range(6):
        forearm = draw_forearm(1, f"p{user}", quiet)
        band = draw_band(1, f"p{user}", 0, "right", forearm, quiet)
        out.append(emg.record(rng, np.full((1202, len(MUSCLES)), force), forearm, band, 40_000, quiet, 60))
    return np.concatenate(out, axis=1)


def test_emg_is_above_gaussian_in_kurtosis_at_low_force_and_gaussian_at_high_force():
    """As measured: Laplacian (an excess of 3) about 5 % of the greatest force, then towards Gaussian."""
    excess = [np.median(kurtosis(held(force))) for force in (0.05, 0.1, 0.2, 0.5)]
    error = 2 * np.sqrt(24 / 40_000)  # of a Gaussian's, two standard errors
    assert 1 < excess[0] < 4 and np.all(np.diff(excess) < 0)
    assert excess[2] > error and abs(excess[3]) < 0.1


def test_amplitude_is_in_proportion_to_activation_and_sources_keep_their_power():
    active = np.repeat(np.array([[0.004], [0.03], [0.4], [0.9]], np.float32), 60_000, axis=1)
    drawn = emg.potentials(stream(1, "potentials"), active, PHYSIOLOGY)
    np.testing.assert_allclose(drawn.std(axis=1), np.repeat(active[:, 0], TERRITORIES), rtol=0.15)
    assert abs(drawn.mean(axis=1)).max() < 0.02 and not emg.potentials(stream(1, ""), 0 * active, PHYSIOLOGY).any()
    quiet = [held(force).var(axis=0) - held(0.0).var(axis=0) for force in (0.2, 0.8)]
    assert np.median(np.sqrt(quiet[1] / quiet[0])) == pytest.approx(4.0, rel=0.05)
    f = np.arange(0.0, 500.0)
    for depth in (0.0, 20.0):
        assert (emg.spectrum(f, depth, PHYSIOLOGY) ** 2).mean() == pytest.approx(1.0, rel=1e-5)
    assert emg.spectrum(f, 20.0, PHYSIOLOGY)[200:].sum() < 0.9 * emg.spectrum(f, 0.0, PHYSIOLOGY)[200:].sum()


def test_a_band_is_turned_by_about_one_electrode_each_time_it_is_put_on():
    same = dict.fromkeys(("electrode_gain_sd", "contact_gain_sd", "weak_channel_share", "angle_sd"), 0.0)
    p, turns = replace(PHYSIOLOGY, **same), []
    forearm = draw_forearm(1, "u", p)
    for number in range(300):
        heard = draw_band(1, "u", number, "right", forearm, p).mixing[:, 0]  # over the electrodes, of one source
        at = np.rad2deg(np.angle(heard @ np.exp(2j * np.pi * np.arange(16) / 16)))
        turns.append((forearm.angle[0] - at + 180) % 360 - 180)
    assert 10 < np.std(turns) < 20 and abs(np.mean(turns)) < 3


def test_the_moving_arm_is_a_slow_load_on_the_wrist():
    n = 60 * 600
    load = emg.arm_load(stream(1, "arm"), n, PHYSIOLOGY)
    flexion, deviation = load[:, gestures.WRIST_FLEXION], load[:, gestures.WRIST_DEVIATION]
    assert not np.delete(load, [gestures.WRIST_FLEXION, gestures.WRIST_DEVIATION], axis=1).any()
    assert np.hypot(flexion, deviation).max() <= PHYSIOLOGY.arm_load  # the hand weighs no more than itself
    assert flexion.mean() < -0.4 * PHYSIOLOGY.arm_load and abs(deviation.mean()) < 0.15 * PHYSIOLOGY.arm_load
    for part in (flexion, deviation):
        f, power = welch(part - part.mean(), 60.0, nperseg=3600)
        assert power[f < 0.5].sum() > 0.95 * power.sum()
    forearm, rest = draw_forearm(1, "u", PHYSIOLOGY), gestures.POSES["rest"]
    relaxed = activation(np.tile(rest, (n, 1)), rest, forearm, PHYSIOLOGY, load)
    name = MUSCLE_NAMES.index
    assert 0.05 < np.percentile(relaxed[:, name("extensor carpi radialis brevis")], 90) < 0.11  # Mogk and Keir 2003
    assert np.median(relaxed[:, name("flexor carpi radialis")]) < 0.03


def test_recordings_carry_the_arms_load():
    free, loaded = made(arm_load=0.0), made()
    np.testing.assert_array_equal(free.poses, loaded.poses)
    more = (loaded.activation - free.activation).mean(axis=0)
    assert more[MUSCLE_NAMES.index("extensor carpi radialis brevis")] > 0.01
    assert not np.array_equal(loaded.emg, free.emg)


def test_amplitude_follows_activation(forearms):
    correlations = []
    for recording in forearms:
        envelope = np.sqrt((recording.emg.reshape(-1, 400, 16) ** 2).mean(axis=1))  # 0.2 s
        frames = np.repeat(recording.activation, TERRITORIES, axis=1)[: 12 * len(envelope)]
        power = (frames**2).reshape(len(envelope), 12, -1).mean(axis=1)
        expected = power @ (recording.band.mixing.astype(float).T ** 2)
        correlations += [spearmanr(envelope[:, c], expected[:, c]).statistic for c in range(16)]
    assert np.median(correlations) >= 0.9 and np.mean(np.array(correlations) >= 0.7) > 0.95


def test_neighbouring_electrodes_correlate_and_less_so_with_distance(forearms):
    correlation = np.mean([np.corrcoef(r.emg.T) for r in forearms], axis=0)
    c = np.arange(16)
    by_distance = [correlation[c, (c + distance) % 16].mean() for distance in range(1, 9)]
    assert 0.2 < by_distance[0] < 0.8
    assert np.all(np.diff(by_distance) < 0.01) and by_distance[-1] < 0.3 * by_distance[0]


def test_activation_rises_with_posture_effort_and_the_right_muscle():
    forearm = draw_forearm(0, "u", replace(PHYSIOLOGY, moment_arm_sd=0.0))
    rest = gestures.POSES["rest"]
    relaxed, fist = (
        activation(np.tile(gestures.POSES[name], (5, 1)), rest, forearm, PHYSIOLOGY)[2] for name in ("rest", "fist")
    )
    names = list(MUSCLES)
    assert relaxed.max() < 0.05
    assert fist[names.index("flexor digitorum profundus, middle")] > 0.5
    assert fist[names.index("flexor digitorum profundus, middle")] > 2 * fist[names.index("extensor indicis")]
    straight = gestures.POSES["rest"].copy()
    straight[4:8] = (0, -0.4, 0, 0)  # the index finger alone is lifted
    lifted = activation(np.tile(straight, (5, 1)), rest, forearm, PHYSIOLOGY)[2] - relaxed
    assert lifted.argmax() in [names.index(n) for n in ("extensor indicis", "extensor digitorum, index")]
    assert lifted[names.index("extensor digitorum, middle")] > 0.01  # enslaving


@pytest.mark.parametrize("mirror", [True, False])
def test_a_left_band_is_numbered_the_same_way_round_or_the_anatomical_way(mirror):
    plain = replace(PHYSIOLOGY, band_shift_sd=0.0, electrode_gain_sd=0.0, contact_gain_sd=0.0, weak_channel_share=0.0)
    forearm, plain = draw_forearm(0, "u", plain), replace(plain, mirror_left=mirror)
    left, right = (draw_band(0, "u", 0, side, forearm, plain).mixing for side in ("left", "right"))
    np.testing.assert_allclose(left, right[-np.arange(16)] if mirror else right, rtol=1e-5)
    assert abs(right - right[-np.arange(16)]).max() > 0.01


def test_sensor_faults_show_in_the_recording():
    clean = {"artefacts_per_second": 0.0, "weak_channel_share": 0.0, "mains": 0.0}
    f, quiet = welch(made(seconds=8.0, **clean).emg, 2000.0, nperseg=4000, axis=0)
    hum = welch(made(seconds=8.0, **(clean | {"mains": 5.0})).emg, 2000.0, nperseg=4000, axis=0)[1]
    ratio = np.median(hum / quiet, axis=1)
    assert ratio[f == 60.0] > 5 and ratio[f == 90.0] == pytest.approx(1.0, abs=0.2)
    weak = made(seconds=2.0, **(clean | {"weak_channel_share": 1.0})).band.mixing
    np.testing.assert_allclose(weak, PHYSIOLOGY.weak_gain * made(seconds=2.0, **clean).band.mixing, rtol=1e-5)
    struck = made(seconds=8.0, **(clean | {"artefacts_per_second": 1.0})).emg
    assert abs(struck - made(seconds=8.0, **clean).emg).max() > 10 * PHYSIOLOGY.noise_sd


def test_within_user_probe_beats_cross_user_probe():
    users, half = 5, 8
    features = np.array(
        [[_log_rms(made(user=f"p{u}", stage=stage, seconds=32.0).emg) for stage in CLASSES] for u in range(users)]
    )  # (users, classes, windows, 16)
    y = np.repeat(np.arange(len(CLASSES)), half)

    def score(train, test):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        with threadpool_limits(1):  # small problems on busy cores: threads would only wait for one another
            probe.fit(train.reshape(-1, 16), np.tile(y, train.size // (16 * len(y))))
        return probe.score(test.reshape(-1, 16), y)  # classes are balanced

    within = [score(f[:, :half], f[:, half:]) for f in features]
    cross = [score(np.delete(features, u, 0)[:, :, :half], features[u][:, half:]) for u in range(users)]
    assert np.mean(within) - np.mean(cross) >= 0.10
    assert np.mean(cross) > 1.2 / len(CLASSES)  # yet something carries over


def _log_rms(emg):
    return np.log(np.sqrt((emg.reshape(-1, 4000, 16) ** 2).mean(axis=1)))
