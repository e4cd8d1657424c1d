"""What is worked out from a fit once goes when the fit goes."""

import gc
import weakref

import hierbayes as hb
from hierbayes.intervals.satterthwaite import variance_uncertainty
from hierbayes.results.once_a_fit import once_a_fit


def test_it_is_worked_out_once_for_each_fit():
    asked = []
    found = once_a_fit(lambda fit: asked.append(fit) or fit.sigma)
    reml, ml = (
        hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff")),
        hb.lmer("Yield ~ 1", hb.load_dataset("Dyestuff")),
    )
    assert [found(fit) for fit in (reml, ml, reml)] == [reml.sigma, ml.sigma, reml.sigma]
    assert asked == [reml, ml]


def test_a_fit_whose_tests_were_asked_for_is_let_go():
    fit = hb.lmer("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    assert variance_uncertainty(fit) is variance_uncertainty(fit)
    fit.tidy(ddf="kenward-roger")
    alive = weakref.ref(fit)
    del fit
    gc.collect()
    assert alive() is None
