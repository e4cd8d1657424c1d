"""K-fold cross-validation: posteriors without a part of the rows predict it.

The rows, or whole blocks of them, are dealt into k folds; the posterior without each is sampled
anew (``fold_refits.py``), so no weights have to be trusted, and

    elpd = sum over rows (or blocks) j of the log of the mean over draws of p(y_j | phi, y_others).

A larger k leaves out less at a time: k as large as there are rows or blocks is leave-one-out.

Source: Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413, section 2.3; Roberts et
al. (2017), Ecography 40:913 (folds of groups).
"""

from typing import Any

import numpy as np
import pandas as pd

from hierbayes.arrays import IntArray
from hierbayes.calls import checked_call
from hierbayes.comparison.fold_refits import predict_fold
from hierbayes.comparison.left_out_blocks import Blocks, blocks_of
from hierbayes.comparison.loo import check_posterior, standard_error, what_is_left_out
from hierbayes.comparison.structured_rows import has_structured_rows
from hierbayes.errors import DataError, OptionError
from hierbayes.families.parameter_formulas import check_no_formulas
from hierbayes.options import check_count, random_generator
from hierbayes.progress import Progress, progress_bar
from hierbayes.results.comparison import KFold
from hierbayes.results.finding import Finding
from hierbayes.results.posterior_fit import PosteriorFit
from hierbayes.wording import listed


@checked_call("hb.kfold")
def kfold(
    fit: PosteriorFit,
    k: int = 10,
    by: Any = None,
    *,
    stratify: str | None = None,
    random_seed: Any = None,
    progress: bool | None = None,
) -> KFold:
    """K-fold expected log predictive density of a posterior, by refits.

    Gaussian posteriors are sampled on the kernel of the other rows, in a fraction of a second a
    fold; others as the fit was. Priors stay those of the fit.

    Parameters
    ----------
    fit : PosteriorFit
    k : int
        Number of folds; as many as there are rows, or blocks, for leave-one-out.
    by : str or array, optional
        What stays together, as of ``hb.loo``: a grouping factor, a column of the data, or a label
        for each row. Predicted are then all its rows jointly, in a fold of blocks. Single rows when
        not given.
    stratify : str, optional
        A column or grouping factor whose values are dealt evenly into the folds. With ``by`` it has
        to be the same in all rows of a block.
    random_seed : int, Generator or SeedSequence
        For the folds and the draws; the same one gives other models of the same rows the same
        folds.
    progress : bool, optional
        Show a bar; None where somebody watches.

    Returns
    -------
    KFold
        Prints; ``to_frame()`` has a row for each row or block. ``hb.compare`` takes several.

    Raises
    ------
    OptionError
        If ``by`` or ``stratify`` is nothing the model or the data know.
    DataError
        If there are fewer rows or blocks than folds, or the others do not determine the
        coefficients.

    Examples
    --------
    >>> import hierbayes as hb
    >>> sleep = hb.load_dataset("sleepstudy")
    >>> post = hb.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(random_seed=1)
    >>> found = hb.kfold(post, k=3, by="Subject", random_seed=1)
    >>> found.to_frame()["fold"].value_counts().tolist()
    [6, 6, 6]
    """
    check_posterior(fit, "kfold")
    if not has_structured_rows(fit):
        check_no_formulas(fit.design, "hb.kfold")
    k = check_count("k", k, least=2)
    blocks = blocks_of(fit, by)
    J = blocks.labels.size
    if k > J:
        what = "rows" if by is None else f"levels of {blocks.name}"
        raise DataError(f"k={k} folds are more than the {J} {what}; take k={J} at most.")
    dealing, sampling = random_generator(random_seed).spawn(2)
    folds = _dealt(k, _strata(fit, blocks, stratify), dealing)
    elpd, mcse, doubtful = np.empty(J), np.empty(J), []
    done = 0
    with progress_bar(lambda: Progress(stage="sampling", done=done, total=k), show=progress):
        for fold, rng in enumerate(sampling.spawn(k)):
            found = predict_fold(fit, blocks, folds, fold, rng)
            elpd[folds == fold], mcse[folds == fold] = found.terms()
            doubtful += [] if found.converged else [str(fold + 1)]
            done += 1
    table = pd.DataFrame(
        {"n_rows": blocks.n_rows, "fold": folds + 1, "elpd": elpd, "mcse": mcse},
        index=blocks.index,
    )
    return KFold(
        elpd=float(elpd.sum()),
        se=standard_error(elpd),
        mcse=float(np.sqrt((mcse**2).sum())),
        k=k,
        by=blocks.name,
        stratify=stratify,
        pointwise=table,
        what=what_is_left_out(fit, blocks, in_folds=True),
        formula_text=fit.spec.model_text,
        data_name=fit.data_name,
        n_draws=fit.n_draws,
        findings=_findings(doubtful, k),
    )


def _strata(fit: PosteriorFit, blocks: Blocks, stratify: str | None) -> IntArray:
    """Return the stratum of each block, (J,)."""
    if stratify is None:
        return np.zeros(blocks.labels.size, dtype=np.intp)
    if not isinstance(stratify, str):
        raise OptionError(
            f"stratify={stratify!r:.40} must be the name of a column or a grouping factor."
        )
    rows = blocks_of(fit, stratify)
    first = np.unique(blocks.codes, return_index=True)[1]
    found = rows.codes[first]
    differs = np.flatnonzero(found[blocks.codes] != rows.codes)
    if differs.size:
        where = blocks.labels[blocks.codes[differs[0]]]
        raise DataError(
            f"stratify={stratify!r} has several values in {blocks.name} {where}; the rows of one "
            f"{blocks.name} stay together, so it has to be the same in all of them."
        )
    return found


def _dealt(k: int, strata: IntArray, rng: np.random.Generator) -> IntArray:
    """Deal into k folds like cards, one stratum after the other, each in random order: (J,)."""
    order = np.lexsort((rng.random(strata.size), strata))
    folds = np.empty(strata.size, dtype=np.intp)
    folds[order] = rng.permutation(k)[np.arange(strata.size) % k]
    return folds


def _findings(doubtful: list[str], k: int) -> tuple[Finding, ...]:
    if not doubtful:
        return ()
    folds = "fold" if len(doubtful) == 1 else "folds"
    return (
        Finding(
            "not_converged",
            f"The draws without {folds} {listed(doubtful)} of {k} are not (yet) those of the "
            "posterior.",
            "Sample more draws, or take a larger k: less is left out at a time.",
        ),
    )
