"""The bundled data are the ones R has: values, types, level order, missing values."""

import numpy as np
import pandas as pd
import pytest

from hierbayes.datasets import describe_dataset, list_datasets, load_dataset
from hierbayes.datasets.bundled import FOLDER
from hierbayes.errors import OptionError

NAMES = list_datasets().index.tolist()

SHAPES = {  # R: dim()
    "cake": (270, 5),
    "cbpp": (56, 5),
    "Dyestuff": (30, 2),
    "Dyestuff2": (30, 2),
    "grouseticks": (403, 7),
    "InstEval": (73421, 7),
    "Machines": (54, 3),
    "Oats": (72, 4),
    "Orthodont": (108, 4),
    "Pastes": (60, 4),
    "Penicillin": (144, 3),
    "Rail": (18, 2),
    "eight_schools": (8, 3),
    "sleepstudy": (180, 3),
    "sleepstudy_na": (180, 3),
    "VerbAgg": (7584, 9),
    "touch_speed": (192, 5),
}


def test_the_list_is_the_bundled_data_sets_with_their_sizes():
    table = list_datasets()
    assert (
        dict(zip(table.index, zip(table["rows"], table["columns"], strict=True), strict=True))
        == SHAPES
    )


def test_every_data_set_says_what_it_is_and_where_it_is_from():
    provenance = list_datasets()[["description", "origin", "citation"]]
    assert not provenance.isna().any(axis=None)
    assert (provenance.map(len) > 5).all(axis=None)


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_what_its_description_says(name):
    data, about = load_dataset(name), describe_dataset(name)
    assert data.shape == SHAPES[name]
    assert data.columns.tolist() == about.index.tolist()
    assert data.isna().sum().tolist() == about["missing"].tolist()
    assert isinstance(data.index, pd.RangeIndex)
    for column, row in about.iterrows():
        values = data[column]
        if row["levels"] is None:
            assert values.dtype == {"numeric": np.float64, "integer": np.int64}[row["type"]]
            assert np.isfinite(values.dropna()).all()
        else:
            assert tuple(values.cat.categories) == row["levels"]
            assert values.cat.ordered == (row["type"] == "ordered")
            assert set(values.dropna()) == set(
                row["levels"]
            )  # R's frames have no unused level here


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_is_the_one_in_the_file(name):
    (path,) = FOLDER.glob(f"{name}.csv*")
    texts = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["NA"])
    for column, values in load_dataset(name).items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            assert values.astype(str).equals(texts[column])
        else:
            assert values.equals(texts[column].map(float).astype(values.dtype))


@pytest.mark.parametrize(
    ("name", "column", "levels"),
    [  # orders that no sorting gives
        ("Machines", "Worker", ["6", "2", "4", "1", "3", "5"]),
        ("Oats", "Block", ["VI", "V", "III", "IV", "II", "I"]),
        ("Rail", "Rail", ["2", "5", "1", "6", "3", "4"]),
        ("Orthodont", "Sex", ["Male", "Female"]),
        ("VerbAgg", "mode", ["want", "do"]),
        (
            "InstEval",
            "dept",
            ["15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2"],
        ),
    ],
)
def test_levels_are_in_rs_order(name, column, levels):
    assert load_dataset(name)[column].cat.categories.tolist() == levels


@pytest.mark.parametrize(
    ("name", "column", "total"),
    [  # R 4.2.2, lme4 1.1-31: sum()
        ("sleepstudy", "Days", 810),
        ("Dyestuff", "Yield", 45825),
        ("cake", "angle", 8673),
        ("cbpp", "incidence", 99),
        ("grouseticks", "TICKS", 2567),
        ("InstEval", "y", 235369),
        ("VerbAgg", "Anger", 151704),
    ],
)
def test_columns_sum_to_what_r_says(name, column, total):
    assert load_dataset(name)[column].sum() == total


def test_the_first_rows_of_sleepstudy_are_the_lectures():
    head = load_dataset("sleepstudy").head(5)
    assert head["Reaction"].tolist() == [249.56, 258.7047, 250.8006, 321.4398, 356.8519]
    assert head["Days"].tolist() == [0, 1, 2, 3, 4]
    assert head["Subject"].tolist() == ["308"] * 5


def test_missing_cells_are_where_the_notes_say():
    data = load_dataset("sleepstudy_na")
    missing = {column: (np.flatnonzero(data[column].isna()) + 1).tolist() for column in data}
    assert missing == {"Reaction": [5, 57, 100, 101], "Days": [23], "Subject": [150]}
    kept = data.dropna()
    pd.testing.assert_frame_equal(kept, load_dataset("sleepstudy").loc[kept.index])


def test_changing_a_loaded_frame_leaves_the_next_one_alone():
    data = load_dataset("sleepstudy")
    data["Reaction"] = 0.0
    data["Subject"] = data["Subject"].cat.rename_categories(lambda level: "S" + level)
    assert load_dataset("sleepstudy")["Reaction"].iloc[0] == 249.56
    assert load_dataset("sleepstudy")["Subject"].iloc[0] == "308"


@pytest.mark.parametrize("reader", [load_dataset, describe_dataset])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sleepstud", r"^name='sleepstud' is not a bundled data set; did you mean 'sleepstudy'\?$"),
        ("dyestuff", r"did you mean 'Dyestuff'\?"),
        ("insteval", r"did you mean 'InstEval'\?"),
        ("zzz", r"there are cake, cbpp, Dyestuff, .*, touch_speed, VerbAgg\.$"),
        (3, r"^name=3 is not a bundled data set; there are cake, "),
        (["sleepstudy"], r"is not a bundled data set"),
        ("../bundled", r"is not a bundled data set"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(reader, name, message):
    with pytest.raises(OptionError, match=message):
        reader(name)
