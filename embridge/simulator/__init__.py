"""A forearm simulator that writes emg2pose's format, and NinaPro's; everything it makes says "simulated".

``physiology`` holds every calibrated constant, ``gestures`` the 29 stages, ``kinematics`` turns them into joint
angles, ``anatomy`` and ``emg`` turn joint angles into 16 channels, ``plan`` lists the files and ``write`` makes them.
In ``ninapro`` such people wear twelve electrodes and a data glove instead.
"""

VERSION = "2"  # raise it when the same configuration would no longer give the same bytes
