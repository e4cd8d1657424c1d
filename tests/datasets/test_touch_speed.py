"""The simulated data set is what its kept generator makes."""

from hierbayes.datasets.bundled import FOLDER
from hierbayes.datasets.touch_speed import as_csv


def test_the_generator_makes_the_file():
    assert (FOLDER / "touch_speed.csv").read_text(encoding="utf-8") == as_csv()
