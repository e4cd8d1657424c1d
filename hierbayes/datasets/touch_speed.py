"""How the bundled data set ``touch_speed`` was simulated; running this file prints its CSV.

Twelve observers feel two surfaces move and say whether the second moved faster than the first,
which always moves at 8.3 cm/s. In half of the blocks a vibration of 32 Hz masks the motion. Each
observer has a line of their own, and presses a wrong key in a small share of trials:

    P(faster) = lapse + (1 - 2 lapse) Phi(a + s (speed - 8.3))

The design is that of a published experiment; observers, rates and responses are drawn.

Source: Moscatelli, Mezzetti & Lacquaniti (2012), J. Vision 12(11):26 (the design).
"""

import csv
import io
import math

import numpy as np

SEED = 20121129
OBSERVERS, TRIALS = 12, 40
SPEEDS = (1.0, 3.1, 5.2, 7.3, 9.4, 11.5, 13.6, 15.7)  # cm/s
STANDARD = 8.3
CONDITIONS = ("none", "32 Hz")
INTERCEPTS, SLOPES = (0.1, -0.35), (0.42, 0.27)  # by condition
SDS, CORRELATION = (0.45, 0.09), -0.2  # of intercepts and slopes over observers
LAPSES = (0.005, 0.035)  # ends of the observers' rates
COLUMNS = ("subject", "vibration", "speed", "faster", "trials")


def simulated() -> list[tuple[str, str, float, int, int]]:
    """Return the rows of the data set."""
    rng = np.random.default_rng(SEED)
    first, second = rng.standard_normal((2, OBSERVERS))
    mixed = CORRELATION * first + math.sqrt(1 - CORRELATION**2) * second
    lapses = rng.uniform(*LAPSES, OBSERVERS)
    rows = []
    for j in range(OBSERVERS):
        for condition, a, s in zip(CONDITIONS, INTERCEPTS, SLOPES, strict=True):
            for speed in SPEEDS:
                eta = a + SDS[0] * first[j] + (s + SDS[1] * mixed[j]) * (speed - STANDARD)
                core = 0.5 * math.erfc(-eta / math.sqrt(2))
                psi = lapses[j] + (1 - 2 * lapses[j]) * core
                faster = int((rng.random(TRIALS) < psi).sum())
                rows.append((f"S{j + 1:02d}", condition, speed, faster, TRIALS))
    return rows


def as_csv() -> str:
    """Return the file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([COLUMNS, *simulated()])
    return stream.getvalue()


if __name__ == "__main__":
    print(as_csv(), end="")
