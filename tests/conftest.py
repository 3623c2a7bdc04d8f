"""Settings of every test process, made before anything imports torch."""

import os

# Two test processes on two cores: more threads than cores make each other wait, tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A test that reaches for the network is a defect and must fail at once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
