"""Exponentials, logarithms and cosines of many numbers at once, in a processor's vectors.

Imports numba: only samplers import it.

Source: Muller (2016), Elementary Functions, 3rd ed., chapter 11 (reduction of the argument).
"""

import math

import numpy as np
from numba import njit

from hierbayes.arrays import FloatArray

# exp(x) is zero below and infinite above, within what a number holds.
LOWEST, HIGHEST = -708.0, 709.0
LOG2_E, LOG_2_HIGH, LOG_2_LOW = 1 / math.log(2), 6.93145751953125e-1, 1.42860682030941723212e-6
SHIFT = 1.5 * 2.0**52  # added, it leaves a whole number in the last bits
F2, F3, F4, F5, F6, F7 = (1 / math.factorial(k) for k in range(2, 8))
F8, F9, F10, F11, F12, F13 = (1 / math.factorial(k) for k in range(8, 14))
EXPONENT, FRACTION = 52, (1 << 52) - 1  # where the bits of a number have its exponent
HALF, WHOLE = 0x3FE << 52, 0x433 << 52  # bits of one half, and of a number that ends with 1
UNITS = 2.0**52 + 1022  # what the number with an exponent in its last bits is more than that
ROOT_HALF = math.sqrt(0.5)
TURN = 2 * math.pi
S3, S5, S7, S9, S11, S13, S15, S17, S19, S21 = (
    (-1) ** (k // 2) / math.factorial(k) for k in range(3, 22, 2)
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def exponentials(x: FloatArray, out: FloatArray, spare: FloatArray, m: int) -> None:
    """Set the first m of ``out`` to exp(x), in loops that a processor does many of at once.

    With x = n log 2 + r and |r| below 0.35, exp(r) is its Taylor polynomial and 2^n is written as
    the bits of a number. ``spare`` (2, m or more) is room to work in.
    """
    shifted, power = spare[0], spare[1]
    bits, power_bits = shifted.view(np.int64), power.view(np.int64)
    for i in range(m):
        v = min(max(x[i], LOWEST), HIGHEST)
        shifted[i] = v * LOG2_E + SHIFT  # n in the last bits
        n = shifted[i] - SHIFT
        r = (v - n * LOG_2_HIGH) - n * LOG_2_LOW
        p = (((F13 * r + F12) * r + F11) * r + F10) * r + F9
        p = ((((p * r + F8) * r + F7) * r + F6) * r + F5) * r + F4
        out[i] = (((p * r + F3) * r + F2) * r + 1.0) * r + 1.0
    for i in range(m):
        power_bits[i] = (bits[i] + 1023) << 52
    for i in range(m):
        found = out[i] * power[i]
        out[i] = math.inf if x[i] > HIGHEST else (0.0 if x[i] < LOWEST else found)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def logarithms(x: FloatArray, out: FloatArray, spare: FloatArray, m: int) -> None:
    """Set the first m of ``out`` to log(x) of normal numbers x > 0, in such loops as well.

    With x = 2^n f and f between the roots of one half and of two, log(f) = 2 artanh(s) with
    s = (f - 1) / (f + 1). ``spare`` (2, m or more) is room to work in.
    """
    fraction, power = spare[0], spare[1]
    bits, power_bits = fraction.view(np.int64), power.view(np.int64)
    own = x.view(np.int64)
    for i in range(m):
        bits[i] = (own[i] & FRACTION) | HALF
        power_bits[i] = (own[i] >> EXPONENT) | WHOLE
    for i in range(m):
        is_low = fraction[i] < ROOT_HALF
        f = fraction[i] + (fraction[i] if is_low else 0.0)
        n = power[i] - UNITS - (1.0 if is_low else 0.0)
        s = (f - 1.0) / (f + 1.0)
        q = s * s
        p = (((q / 21 + 1 / 19) * q + 1 / 17) * q + 1 / 15) * q + 1 / 13
        p = ((((p * q + 1 / 11) * q + 1 / 9) * q + 1 / 7) * q + 1 / 5) * q + 1 / 3
        out[i] = n * LOG_2_HIGH + (n * LOG_2_LOW + 2.0 * s * (p * q + 1.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def cosines_of_turns(x: FloatArray, out: FloatArray, m: int) -> None:
    """Set the first m of ``out`` to cos(2 pi x) of numbers from 0 to 1, in such loops as well.

    That is sin(2 pi y) with y = 1/4 - x or x - 3/4, at most a quarter: its Taylor polynomial.
    """
    for i in range(m):
        r = TURN * (0.25 - x[i] if x[i] < 0.5 else x[i] - 0.75)
        q = r * r
        p = (((S21 * q + S19) * q + S17) * q + S15) * q + S13
        p = ((((p * q + S11) * q + S9) * q + S7) * q + S5) * q + S3
        out[i] = r + r * q * p
