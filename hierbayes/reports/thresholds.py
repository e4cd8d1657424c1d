"""Thresholds and the goodness of fit of psychometric functions, in blocks."""

from functools import partial

import numpy as np
import pandas as pd

from hierbayes.render.blocks import Blocks, Heading, Paragraph, Printed, facts
from hierbayes.reports.coefficients import MOST_DECIMALS, decimals_of, fixed_cell
from hierbayes.reports.frames import frame_table
from hierbayes.reports.result_table import result_table_blocks
from hierbayes.results.goodness_of_fit import GoodnessOfFit
from hierbayes.results.threshold_table import THRESHOLD_COLUMNS, ThresholdTable

SE_DIGITS = 3  # significant digits of the typical standard error
SMALL = 0.05  # p values from which a misfit is worth a sentence


def threshold_blocks(table: ThresholdTable, whole: bool = False) -> Blocks:
    """Show the table below what it is of; where columns were taken out, as pandas does."""
    frame = pd.DataFrame(table)
    if tuple(table.columns) != THRESHOLD_COLUMNS or "words" not in table.attrs:
        return result_table_blocks(table, whole=whole)
    said = [table.attrs["words"], table.attrs["interval"], *table.attrs["notes"]]
    decimals = _decimals(table)
    shown = frame.copy()
    for name in ("estimate", "std_error", "lower", "upper"):
        shown[name] = [fixed_cell(value, decimals) for value in frame[name]]
    rows = frame_table(shown, with_index=False, whole=whole)
    words = [Paragraph(line) for line in said]
    return (Printed(said, words), Printed(partial(_printed, shown), rows, gap=False))


def _printed(frame: pd.DataFrame) -> list[str]:
    return frame.to_string(index=False, max_rows=60, min_rows=60).split("\n")


def _decimals(table: ThresholdTable) -> int:
    """Decimals that show the typical standard error with three digits."""
    errors = table["std_error"].to_numpy(dtype=np.float64)
    known = errors[np.isfinite(errors) & (errors > 0)]
    if not known.size:
        return 3
    return decimals_of(float(np.median(known)), digits=SE_DIGITS, most=MOST_DECIMALS, least=0)


def goodness_blocks(found: GoodnessOfFit) -> Blocks:
    """Show deviance and dispersion beside the middle and the tails of simulated ones."""
    return (
        Heading("Goodness of fit"),
        *facts(
            ("Formula:", found.formula_text),
            ("Data:", found.data_name),
            ("Cells:", f"{found.cells}, {found.df} degrees of freedom"),
            ("Simulated:", found.how),
            ("Deviance:", _beside(found.deviance, found.simulated_deviance, found.p_deviance)),
            (
                "Dispersion:",
                _beside(found.dispersion, found.simulated_dispersion, found.p_dispersion),
            ),
        ),
        Paragraph(_verdict(found)),
    )


def _beside(observed: float, simulated: np.ndarray, p: float) -> str:
    low, high = np.quantile(simulated, [0.025, 0.975])
    return f"{observed:.4g}, of the model {low:.4g} to {high:.4g} (95 %), p = {p:.2g}"


def _verdict(found: GoodnessOfFit) -> str:
    if found.p_deviance > SMALL and found.p_dispersion > SMALL:
        return "The responses lie as close to the curves as the model's own would."
    if found.p_dispersion <= SMALL:
        return (
            "The responses lie farther from the curves than the model's own would: they vary "
            "more than binomial ones (overdispersed=True lets them), or the curve has another "
            "shape, asymptote or random slope."
        )
    return (
        "The deviance is larger than the model's own would be: some cells lie far from the curve, "
        "as lapses make them where lapse is held too small."
    )
