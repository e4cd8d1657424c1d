"""Variances by moments: triangles whose covariances are within the bounds of a start."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.gaussian.moments import START_RANGE, moments


@pytest.mark.parametrize("columns", ["1", "Days"])
@pytest.mark.parametrize("part", [0.0, 0.1, 1.0])
def test_starts_are_within_bounds_whatever_the_response(columns, part):
    frame = hb.load_dataset("sleepstudy")[:40]  # four subjects
    rng, (least, most) = np.random.default_rng(1), START_RANGE
    for _ in range(5):
        y = part * frame["Reaction"] + 30 * rng.normal(size=40)
        spec = hb.Model(f"y ~ Days + ({columns} | Subject)", frame.assign(y=y)).spec
        root = moments(spec.kernel("reml")).roots[0]
        assert (np.triu(root, 1) == 0).all()
        sizes = np.linalg.eigvalsh(root @ root.T)
        assert sizes[0] >= least * (1 - 1e-9)
        assert sizes[-1] <= most * (1 + 1e-9)
