"""The Bayesian counterpart of the lecture's outputs, as steps of the tour."""

from hierbayes.render.blocks import Preformatted, Printed
from hierbayes.reports.level_tables import level_tables_blocks
from hierbayes.results.level_tables import LevelTables
from hierbayes.studies.lecture.lecture import M1, M2, Lecture
from hierbayes.studies.lecture.step import Step


def posterior_block(lecture: Lecture) -> Step:
    """Show the posterior of m.1."""
    seconds = lecture.posterior1.draws.seconds
    return Step(
        heading="The same formula as a Bayesian model",
        text="The same model gives the posterior: what the data and a prior together say about "
        "every parameter. The priors are weakly informative, scaled by the data, and printed; "
        f"each can be replaced by name. The draws came in {seconds:.1f} seconds, because fixed "
        "and random effects are integrated out on the same algebra REML uses.",
        code=(
            f'model = hb.Model("{M1}", sleep)',
            "post = model.sample(random_seed=1)",
            "print(post.summary())",
        ),
        shown=(Preformatted(lecture.posterior1.summary()),),
    )


def posterior_effects_block(lecture: Lecture) -> Step:
    """Show the random effects of the posterior."""
    tables = lecture.posterior1.ranef()
    spread = lecture.posterior1.ranef_sd()["Subject"].agg(["min", "max"])
    return Step(
        heading="Subject-specific effects: the posterior's",
        text="Posterior means of the subjects' effects. They are close to REML's conditional "
        "modes; their standard deviations are larger, because the posterior also averages over "
        "what is not known about the variances and the fixed effects.",
        code=(
            "print(post.ranef())",
            "print()",
            'print(post.ranef_sd()["Subject"].agg(["min", "max"]))',
        ),
        shown=(Preformatted(f"{tables}\n\n{spread}"), tables_on_page(tables)),
    )


def tables_on_page(tables: LevelTables) -> Printed:
    """Return the tables as a page shows them; the terminal has them already, as R prints them."""
    return Printed([], level_tables_blocks(tables))


def comparison_block(lecture: Lecture) -> Step:
    """Lay ML, REML and the posterior side by side."""
    return Step(
        heading="ML, REML and the posterior side by side",
        text="One formula, three answers, and for each difference the reason.",
        code=("print(hb.compare(m1_ml, m1, post))",),
        shown=(Preformatted(str(lecture.comparison)),),
    )


def bayesian_test_block(lecture: Lecture) -> Step:
    """Ask the question of the likelihood-ratio test the Bayesian way."""
    factor = lecture.bayes_factor
    return Step(
        heading="The same question, the Bayesian way",
        text="Is there a covariance of intercept and slope? A Bayes factor compares how well the "
        "two models predict the data before they are seen, priors included; leave-one-out "
        "compares how well they predict one measurement from the others. Both agree with the "
        "likelihood-ratio test: the data do not ask for it, and do not exclude it "
        f"(Bayes factor of m.1 against m.2 {factor.bf:.2f}).",
        code=(
            f'post2 = hb.Model("{M2}", sleep).sample(random_seed=1)',
            'print(hb.bayes_factor(post, post2, names=("m.1", "m.2")))',
            "print()",
            'print(hb.compare(post, post2, names=("m.1", "m.2")))',
        ),
        shown=(Preformatted(f"{factor}\n\n{lecture.elpd}"),),
    )
