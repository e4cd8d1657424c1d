"""The lecture on the likelihood and on shrinkage, as steps of the tour."""

from hierbayes.studies.lecture.lecture import Lecture
from hierbayes.studies.lecture.step import Step

LIKELIHOOD = Step(
    heading="The likelihood function",
    text="The lecture integrates the random effects out: what is left is the marginal density "
    "of the data as a function of the parameters. Here it is over the two sds of the "
    "subjects; correlation and residual sd are at their estimates. Contours hold 50, 80, 95 "
    "and 99 %. ML takes the fixed effects at their best, REML averages over them, and stands "
    "a little further out.",
    code=("hb.plot.likelihood_surface(hb.likelihood_surface(m1))",),
    pictures=("likelihood.png",),
)
CATERPILLAR = Step(
    heading="All subjects, both ways",
    text="Conditional modes with their conditional intervals, beside posterior means. The "
    "modes take the estimated covariance as known; the posterior does not, so its intervals "
    "are wider.",
    code=("hb.plot.caterpillar(m1, post)",),
    pictures=("caterpillar.png",),
)


def shrinkage_block(lecture: Lecture) -> Step:
    """Show how each subject is pulled towards the population."""
    from hierbayes.pooling.shrinkage import shrinkage

    table = shrinkage(lecture.m1)
    rows = table.loc[table["term"] == "Days"]
    reliability = float(rows["reliability"].iloc[0])
    return Step(
        heading="Shrinkage",
        text="A conditional mode is a compromise between the estimate within a subject and the "
        "population. How far it is pulled depends on the estimate itself, on the covariance Omega "
        "and on the standard errors of the subject's own estimates, which the lecture writes into "
        f"the panels. Of the spread of the subjects' own slopes a share of {reliability:.2f} is "
        "kept here, the reliability of a slope from ten days.\n\n"
        "In the plane, arrows lead from what a subject says alone to what the model says. They do "
        "not all point at the cross: intercept and slope of one subject inform each other.",
        code=(
            "hb.plot.shrinkage_plane(m1)",
            "hb.plot.shrinkage_lines(m1, standard_errors=True, labels=labels)",
        ),
        pictures=("shrinkage_plane.png", "shrinkage_lines.png"),
    )
