"""HDR to what sRGB holds.

White paper keeps its place, 203 cd/m2 of ITU-R BT.2408; what is brighter is bent by the
curve of ITU-R BT.2390-10, 5.4, so that the peak becomes white.
"""

import functools

import numpy as np
import numpy.typing as npt

# The transfer functions of HDR by their numbers (ITU-T H.273, 8.2).
NAMES = {16: "PQ", 18: "HLG"}
# In cd/m2: of white paper, and of the screen that films are mastered for.
WHITE, PEAK = 203, 1000
# Of the tables, which are far faster than powers.
STEPS = 4096
# From the primaries of BT.2020 to those of sRGB (ITU-R BT.2087).
TO_SRGB = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    np.float32,
)
# Of BT.2020's red, green and blue.
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


def to_srgb(codes: npt.NDArray[np.uint16], transfer: int) -> npt.NDArray[np.uint8]:
    """Returns the picture of codes of BT.2020.

    Args:
        codes: [H, W, 3], from 0 to 65535.
        transfer: a number of `NAMES`.

    Returns:
        sRGB, uint8 [H, W, 3].
    """
    light = _light(transfer)[codes]
    if NAMES[transfer] == "HLG":  # BT.2100's system gamma, for that screen.
        light *= (light @ LUMINANCE)[..., None] ** np.float32(0.2)
    brightest = np.minimum(light.max(-1), 1)
    # By one factor for all three, which keeps the hue.
    light *= _factors()[np.sqrt(brightest * (STEPS - 1) ** 2).astype(np.int32)][
        ..., None
    ]
    light = np.clip(light @ TO_SRGB.T, 0, 1)
    return _curve()[(light * (STEPS - 1) + np.float32(0.5)).astype(np.int32)]


@functools.cache
def _light(transfer):
    """Returns the light of each 16-bit code, of which 1 is `PEAK`."""
    codes = np.linspace(0, 1, 1 << 16)
    if NAMES[transfer] == "PQ":
        return (_from_pq(codes) / PEAK).astype(np.float32)
    # BT.2100, table 5.
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return light.astype(np.float32)


@functools.cache
def _factors():
    """Returns by what light of `PEAK` times (i / STEPS)**2 becomes that of sRGB."""
    light = PEAK * np.maximum(np.linspace(0, 1, STEPS), 1 / STEPS) ** 2
    scaled, most = _to_pq(light) / _to_pq(PEAK), _to_pq(WHITE) / _to_pq(PEAK)
    knee = 1.5 * most - 0.5
    t = np.maximum(scaled - knee, 0) / (1 - knee)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    bent = _from_pq(np.where(scaled < knee, scaled, bent) * _to_pq(PEAK))
    return (PEAK / WHITE * bent / light).astype(np.float32)


@functools.cache
def _curve():
    """Returns the codes of sRGB, uint8, for light from 0 to 1 in `STEPS`."""
    light = np.linspace(0, 1, STEPS)
    bent = 1.055 * light ** (1 / 2.4) - 0.055
    codes = np.where(light <= 0.0031308, 12.92 * light, bent)
    return np.round(255 * codes).astype(np.uint8)


# SMPTE ST 2084.
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _from_pq(codes):
    power = codes ** (1 / M2)
    return 10000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def _to_pq(light):
    power = (light / 10000) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2
