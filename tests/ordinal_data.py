"""Published ordered responses."""

import numpy as np
import pandas as pd

# Bitterness of wine on a scale of five, a row a judge: cold (no contact, contact), then warm.
# Randall (1989), Biometrical Journal 31:781.
RATINGS = (
    "23344455", "12132354", "23325544", "32323253", "23433333", "32322454", "11222323",
    "22233334", "12323244",
)  # fmt: skip


def wine() -> pd.DataFrame:
    """Ratings of eight bottles by nine judges."""
    numbers = [int(rating) for judge in RATINGS for rating in judge]
    return pd.DataFrame({
        "rating": pd.Categorical(numbers, ordered=True),
        "temp": (["cold"] * 4 + ["warm"] * 4) * 9,
        "contact": ["no", "no", "yes", "yes"] * 18,
        "judge": np.repeat(np.arange(9), 8),
    })  # fmt: skip
