"""Where the numbers of a model stand in the buffers that compiled code reads.

``AT`` names the places of the header of the whole numbers, ``OF_FACTOR`` those of each factor's
part. What begins with "at" is a position in one of the buffers: of whole numbers (i), numbers (c),
or room to work in (w).
"""

from typing import NamedTuple


class Header(NamedTuple):
    """Places in the header."""

    n: int = 0  # rows
    factors: int = 1
    p: int = 2  # coefficients
    d: int = 3  # inputs of the tape of shared numbers
    rest: int = 4  # numbers of a point before the effects of the first factor
    size: int = 5  # numbers of a point
    shared: int = 6  # places of shared numbers
    shared_operations: int = 7
    by_row: int = 8  # places of numbers a row
    row_operations: int = 9
    data: int = 10  # numbers each row has
    spread: int = 11  # shared numbers that operations of rows need
    eta: int = 12  # place of eta among the numbers of a row
    value: int = 13  # place of the log density of a row
    log_prior: int = 14  # place of the log prior density among shared numbers
    is_mixed: int = 15  # whether A is there
    i_shared: int = 16
    i_rows: int = 17
    i_data: int = 18
    i_spread: int = 19
    i_coefficients: int = 20
    i_factors: int = 21
    c_numbers: int = 22
    c_data: int = 23
    c_x: int = 24
    c_offset: int = 25
    c_counts: int = 26
    c_centre: int = 27
    c_mixing: int = 28
    c_constant: int = 29
    w_shared: int = 30
    w_shared_slopes: int = 31
    w_rows: int = 32
    w_row_slopes: int = 33
    w_eta: int = 34
    w_eta_slopes: int = 35
    w_rest: int = 36
    w_rest_slopes: int = 37
    w_spare: int = 38
    room: int = 39  # size of the room
    end: int = 40


class FactorPart(NamedTuple):
    """Places in the part of one factor; q columns, J levels."""

    levels: int = 0
    q: int = 1
    start: int = 2  # of its effects: in the rest, or in the point for the first factor
    i_codes: int = 3
    i_root: int = 4  # places of the entries of Lambda among shared numbers; -1 is zero
    c_z: int = 5
    c_information: int = 6
    c_score: int = 7
    c_weights: int = 8
    c_eta: int = 9
    w_root: int = 10
    w_root_slopes: int = 11
    w_chol: int = 12
    w_score: int = 13  # h - s
    w_half: int = 14  # C^-1 Lambda'(h - s)
    w_sum: int = 15  # z and this
    w_u: int = 16
    w_b: int = 17
    w_b_slopes: int = 18
    w_small: int = 19
    end: int = 20


AT = Header()
OF_FACTOR = FactorPart()
