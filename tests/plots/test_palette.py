"""Colours mean the same everywhere, and are told apart without hue and by the colour-blind."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hierbayes.plots.palette import MARKS, THEMES, drawn_in, look

# Machado, Oliveira & Fernandes (2009), IEEE TVCG 15(6): full protanopia, deuteranopia, tritanopia,
# on linear RGB.
BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    t = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(colour, paper):
    light = sorted(float(linear(c) @ TO_XYZ[1]) + 0.05 for c in (colour, paper))
    return light[1] / light[0]


@pytest.mark.parametrize("name", ["paper", "dark"])
@pytest.mark.parametrize("blindness", BLIND)
def test_the_colour_blind_tell_all_roles_apart(name, blindness):
    seen = [lab(np.array(BLIND[blindness]) @ linear(c)) for c in THEMES[name].colours.values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


@pytest.mark.parametrize("name", ["paper", "lecture", "dark"])
def test_roles_that_are_drawn_over_each_other_differ_in_a_grey_copy(name):
    colours = THEMES[name].colours
    light = {role: lab(linear(colours[role]))[0] for role in colours}
    for one, other in (("reml", "ml"), ("reml", "posterior"), ("posterior", "prior")):
        assert abs(light[one] - light[other]) > 10


def test_no_two_roles_share_mark_and_line():
    shapes = [MARKS[role][:3] for role in ("reml", "ml", "posterior", "prior")]
    assert len({str(shape[:2]) for shape in shapes}) == 4
    assert len({str(shape[2]) for shape in shapes}) == 4


@pytest.mark.parametrize("name", THEMES)
def test_marks_and_letters_stand_out_from_the_page(name):
    theme = THEMES[name]
    assert contrast(theme.ink, theme.paper) > 12
    assert contrast(theme.soft, theme.paper) > 4.5
    assert min(contrast(c, theme.paper) for c in theme.colours.values()) > 2.9
    with drawn_in(name):
        assert look("reml").colour == theme.colours["reml"]


def test_the_grey_theme_is_grey():
    theme = THEMES["grey"]
    for colour in (*theme.colours.values(), *theme.bands.values(), theme.ink, theme.soft):
        assert len(set(to_rgb(colour))) == 1
