"""Every constant of the simulator that was calibrated, with its unit (history: CALIBRATION.md beside this file)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Physiology:
    """The simulated people, hands and bands. "SD" of a gain is that of its natural logarithm."""

    # ---- movement
    move_seconds: float = 0.34  # duration of a transition at tempo 1
    hold_seconds: float = 0.30  # a gesture's pose is held for about this long
    pause_seconds: float = 0.70  # rest between gestures
    pause_share: float = 0.60  # share of gestures that a rest follows
    tempo_sd: float = 0.20  # between users (SD of log tempo)
    timing_sd: float = 0.30  # between repetitions (SD of log duration)
    amplitude_user_sd: float = 0.15  # between users, per finger (SD of log amplitude)
    amplitude_repetition_sd: float = 0.15  # between repetitions, all fingers together (SD of log amplitude)
    style_sd: float = 0.10  # rad: how a user makes a gesture, per gesture and joint
    rest_sd: float = 0.08  # rad: a user's relaxed hand, per joint
    repetition_sd: float = 0.07  # rad: between repetitions, per joint
    finger_lag: float = 0.03  # s: SD of one finger's delay against the others
    coupling: float = 0.12  # share of a finger's flexion that drags its neighbour along
    stray_share: float = 0.08  # share of gestures that are another stage's (people make mistakes)
    mocap_noise: float = 0.004  # rad, per 60 Hz frame

    # ---- inverse-kinematics failures: rate = max * ((u - clean) / (1 - clean)) ** skew, u uniform
    ik_clean_files: float = 0.20  # share of files without any failure
    ik_max: float = 0.35  # published maximum of a file's rate
    ik_skew: float = 1.64  # puts the median at 0.07, as published
    ik_stretch_seconds: float = 1.5  # mean length of one failure

    # ---- muscles
    lead_seconds: float = 0.06  # EMG leads movement (electromechanical delay)
    stiffness: float = 0.60  # activation per rad away from the relaxed hand
    damping: float = 0.06  # activation per rad/s
    effort_gain: float = 0.6  # a pressed pinch or fist multiplies its drive by up to 1 + this
    cocontraction: float = 0.10  # share of the agonist's drive that reaches the antagonist
    cocontraction_sd: float = 0.15  # between users
    tonic: float = 0.01  # activation of a relaxed muscle
    enslaving: float = 0.10  # share of a finger's drive that reaches its neighbours
    fluctuation_sd: float = 0.15  # slow variation of activation at constant force (SD of log)
    firing_rate: float = 1000.0  # potentials a s and territory at full activation: 50 units at 20 a s
    spectrum_low: float = 60.0  # Hz: corners of a superficial potential's spectrum (Shwedyk 1977)
    spectrum_high: float = 120.0  # Hz
    depth_loss: float = 0.02  # per mm: the upper corner falls to 1 / (1 + this * depth)

    # ---- the arm, which people move right and left, up and down (E A.2.1); nothing where it lies on a table
    arm_load: float = 0.08  # activation that carries the hand, palm down: 5 to 11 % in extensors (Mogk and Keir 2003)
    arm_roll_sd: float = 0.8  # rad, about palm down
    arm_rise_sd: float = 0.5  # rad, about the horizontal
    arm_seconds: float = 2.0  # from one orientation to another

    # ---- anatomy
    wrist_radius: float = 27.0  # mm
    spread: float = 5.0  # mm: scale of the decay with distance
    falloff: float = 3.0  # power of the decay far away (a bipolar electrode over a dipole: 2 to 3)
    angle_sd: float = 4.0  # degrees: a muscle's place round the wrist, between users
    depth_sd: float = 1.5  # mm, between users
    muscle_gain_sd: float = 0.15  # between users
    moment_arm_sd: float = 0.12  # between users
    radius_sd: float = 0.06  # between users

    # ---- band and sensors; EMG is in units of the average sensor noise, high-passed as emg2pose's is
    band_shift_sd: float = 12.0  # degrees, each time it is put on; half of the 22.5 from electrode to electrode
    electrode_gain_sd: float = 0.15  # between sessions, per electrode
    contact_gain_sd: float = 0.20  # between sessions, the whole band
    signal_scale: float = 300.0  # RMS in noise units of a fully active muscle right under an electrode
    noise_sd: float = 1.0  # sensor noise
    noise_spread: float = 0.25  # between electrodes (SD of log noise)
    mains: float = 0.25  # noise units: mean amplitude of the 60 Hz hum
    artefacts_per_second: float = 0.02  # motion artefacts
    artefact_amplitude: float = 25.0  # noise units
    weak_channel_share: float = 0.02  # electrodes with poor contact
    weak_gain: float = 0.15
    mirror_left: bool = False  # True: on the left arm electrodes run the other way round its muscles


PHYSIOLOGY = Physiology()
