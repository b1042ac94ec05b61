"""Draws the example pictures: two content scenes and five painting styles."""

import argparse
import itertools
import pathlib

import numpy as np
from PIL import Image, ImageDraw

GRAPES = [
    (a - 1.2 + b / 2 + (a * 0.77 + c * 0.6) % 0.5, b, c + (a * 0.61 + b * 0.3) % 0.6)
    for b in (0, 1, 2)
    for c in (0, 1.1)
    for a in range(4 - b)
]
WHIRLS = [
    (0.36, 0.40, 0.27, 1.0),
    (0.80, 0.20, 0.16, -1.0),
    (0.72, 0.62, 0.19, 1.0),
    (0.12, 0.12, 0.12, -1.0),
    (0.20, 0.80, 0.15, -1.0),
    (0.95, 0.92, 0.13, 1.0),
    (0.52, 0.88, 0.08, 1.0),
]
SUN = np.float32([-0.80, 0.42, -0.43])


def rgb(*codes):
    """Turns hexadecimal colours into an array of 0..1 values."""
    return np.float32([list(bytes.fromhex(code)) for code in codes]).squeeze() / 255


def grid(height, width):
    """Returns pixel coordinates x and y in units of the height."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    return x, y


def smooth(low, high, x):
    """Steps softly from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """Blends two pictures or colours by a map of weights."""
    return a + (b - a) * np.asarray(t)[..., None]


def ramp(t, colours):
    """Looks a map of 0..1 values up in a list of evenly spaced colours."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, c) for c in colours.T], -1).astype("f4")


def noise(rng, shape, power, scale, stretch=(1, 1)):
    """Makes periodic fractal noise of unit variance.

    Args:
        rng: the random generator.
        shape: height and width.
        power: fall-off of the spectrum; larger is smoother.
        scale: largest wavelength in pixels.
        stretch: how much to lengthen the noise along y and x.
    """
    fy = np.fft.fftfreq(shape[0])[:, None] * stretch[0]
    fx = np.fft.rfftfreq(shape[1])[None] * stretch[1]
    spectrum = (fy**2 + fx**2 + scale**-2.0) ** (-power / 2)
    white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    result = np.fft.irfft2(white * spectrum, shape)
    return ((result - result.mean()) / result.std()).astype(np.float32)


def blur(image, sigma):
    """Blurs a map with a periodic Gaussian."""
    fy = np.fft.fftfreq(image.shape[0])[:, None]
    fx = np.fft.rfftfreq(image.shape[1])[None]
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2))
    return np.fft.irfft2(np.fft.rfft2(image) * kernel, image.shape).astype("f4")


def sample(tile, x, y):
    """Reads a map at fractional positions, wrapping at its borders."""
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    if tile.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    (h, w), rows, cols = tile.shape[:2], y0 + 1, x0 + 1
    x0, y0, rows, cols = x0 % w, y0 % h, rows % h, cols % w
    top = tile[y0, x0] * (1 - fx) + tile[y0, cols] * fx
    return top * (1 - fy) + (tile[rows, x0] * (1 - fx) + tile[rows, cols] * fx) * fy


def unit(vectors):
    """Scales vectors along the last axis to length one."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6)


def relief(height, strength):
    """Lights a height map from the upper left; flat areas give 1."""
    dy, dx = np.gradient(height)
    return np.clip(1 - strength * (dx + dy), 0.4, 1.7)


def terrain(rng, z, u):
    """Builds the land around the harbour on a fan of view rays.

    Args:
        rng: the random generator.
        z: distances of the slices, ascending.
        u: horizontal slopes of the view rays.

    Returns:
        Height and colour of the land per slice and ray.
    """
    tile = noise(rng, (1024, 1024), 1.9, 220)
    trees = noise(rng, (1024, 1024), 3.5, 9)
    z = z[:, None]
    x = u[None] * z
    coarse, fine = sample(tile, x * 2.2, z * 2.2), sample(tile, x * 60, z * 60)
    grit = sample(noise(rng, (1024, 1024), 1.0, 30), x * 90, z * 45)

    def hill(cx, cz, sx, sz):
        return np.exp(-(((x - cx) / sx) ** 2) - ((z - cz) / sz) ** 2)

    ridges = 1 - np.abs(sample(tile, x * 1.1 + 300, z * 1.1 + 500)) * 0.75
    peaks = 26 + 36 * hill(-30, 290, 75, 200) + 30 * hill(120, 300, 50, 200)
    far = smooth(130, 290, z) * peaks * (0.55 + 0.55 * ridges)
    wood = 15 * hill(-48, 74, 30, 22) + 11 * hill(62, 105, 36, 20)
    wood = wood + 6 * hill(0, 125, 60, 16)
    near = 2.3 * hill(5.9, 14.8, 3.6, 2.4) + 1.5 * hill(-3.3, 4.6, 1.5, 1.6)
    height = far + wood + near - 0.75 + coarse * (0.06 + 0.16 * (wood + far * 0.4))
    height += (fine * 0.05 + grit * 0.012) * np.minimum(near * 2, 1)
    cover = smooth(0.5, 1.6, wood + wood * coarse * 0.3) * (1 - smooth(14, 24, height))
    canopy = sample(trees, x * 9, z * 5) * 0.5 + 0.5
    height += cover * np.maximum(canopy, -0.5) * 0.55
    slope_x = np.gradient(height, axis=1) / np.gradient(x, axis=1)
    slope_z = np.gradient(height, axis=0) / np.gradient(z, axis=0)
    light = SUN[1] - SUN[0] * slope_x - SUN[2] * slope_z
    light = light / np.sqrt(1 + slope_x**2 + slope_z**2)
    rays = height + x * 0.42
    ceiling = np.maximum.accumulate(rays, axis=1)
    light = np.clip(light, 0, 1) * (1 - smooth(0.02, 0.5 + z / 60, ceiling - rays))
    grass = ramp(0.5 + fine * 0.13 + grit * 0.16, rgb("4d5a2c", "74793d", "a39a58"))
    leaf = ramp(canopy * 0.4 + 0.4, rgb("1e3424", "3f5a30", "7d7c3e"))
    rock = ramp(0.5 + fine * 0.2 + grit * 0.15, rgb("4a4444", "7b706a", "a89a8c"))
    colour = mix(rock, grass, smooth(0.12, 0.5, height + fine * 0.1))
    colour = mix(colour, leaf, cover)
    stone = smooth(15, 30, height + coarse * 3)
    colour = mix(colour, rgb("6d645f") * (1 + coarse[..., None] * 0.08), stone)
    snow = smooth(32, 42, height + coarse * 6) * smooth(1.9, 0.9, np.abs(slope_z))
    colour = mix(colour, rgb("f4f1f2"), snow)
    colour = colour * mix(rgb("6f80a8"), rgb("ffdca8") * 1.55, light)
    haze = mix(rgb("f3cfa6"), rgb("a9b4cf"), smooth(-0.5, 0.35, u))[None]
    return height, mix(colour, haze, 1 - np.exp(-np.maximum(z - 20, 0) / 270))


def project_land(height, colour, z, rows, cam, focal, backdrop):
    """Draws slices of land over a backdrop; also returns the slice hit."""
    horizon = backdrop.shape[0] // 2
    edge = horizon + focal * (cam - height) / z[:, None]
    edge = np.minimum.accumulate(edge, axis=0)
    image, hit = backdrop.copy(), np.full(backdrop.shape[:2], -1)
    for column in range(backdrop.shape[1]):
        index = len(z) - np.searchsorted(edge[::-1, column], rows, side="right")
        land = index < len(z)
        hit[land, column] = index[land]
        image[land, column] = colour[index[land], column]
    return image, hit


def house(x, z, base, size, turn, wall, roof):
    """Lists the faces of a gabled house, back to front, with lit windows."""
    cos, sin = np.cos(turn), np.sin(turn)

    def place(*points):
        p = np.float32(points) * size
        p = p @ np.float32([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        return p + np.float32([x, base, z])

    faces = [(place((-1, 1.1, 0.6), (1, 1.1, 0.6), (1, 1.9, 0), (-1, 1.9, 0)), roof, 1)]
    for s in (1, -1):
        gable = [(0.95 * s, y, d) for y, d in ((0, 0.6), (0, -0.6), (1.2, -0.6))]
        gable += [(0.95 * s, 1.85, 0), (0.95 * s, 1.2, 0.6)]
        faces.append((place(*gable), wall, 1))
    front = [(-0.95, 0, -0.6), (0.95, 0, -0.6), (0.95, 1.2, -0.6), (-0.95, 1.2, -0.6)]
    faces.append((place(*front), wall, 1))
    for left, low, width, top, glow in (
        (-0.72, 0.35, 0.3, 0.85, "ffd27a"),
        (-0.18, 0, 0.36, 0.9, "5b3a2c"),
        (0.42, 0.35, 0.3, 0.85, "ffc45e"),
    ):
        for grow, tint in ((0.06, "efe6d6"), (0, glow)):
            a, b, c, d = left - grow, left + width + grow, low, top + grow
            pane = [(a, c, -0.61), (b, c, -0.61), (b, d, -0.61), (a, d, -0.61)]
            faces.append((place(*pane), rgb(tint), grow))
    stack = [(0.4, 1.5, -0.1), (0.65, 1.5, -0.1), (0.65, 2.25, -0.1), (0.4, 2.25, -0.1)]
    faces.append((place(*stack), rgb("8c5a4a"), 1))
    eaves = [(-1.05, 1.08, -0.7), (1.05, 1.08, -0.7), (1.05, 1.9, 0), (-1.05, 1.9, 0)]
    faces.append((place(*eaves), roof, 1))
    return faces


def tower(x, z, base):
    """Lists the faces of a lighthouse with red bands and a bright lantern."""
    angles = np.linspace(0, np.pi, 29)
    profile = [(0.0, 0.50, "f4efe6"), (0.7, 0.45, "c0392f"), (1.4, 0.41, "f4efe6")]
    profile += [(2.1, 0.37, "c0392f"), (2.8, 0.33, "f4efe6"), (3.3, 0.48, "3a3f4a")]
    profile += [(3.42, 0.24, "ffe9a8"), (3.85, 0.32, "9c2f2a"), (4.2, 0.03, "9c2f2a")]
    tops = [(0.7, 0.46), (1.4, 0.41), (2.1, 0.37), (2.8, 0.33), (3.3, 0.31)]
    tops += [(3.42, 0.48), (3.85, 0.24), (4.2, 0.03), (4.5, 0.03)]
    faces = []
    for (low, r0, tint), (high, r1) in zip(profile, tops):
        for pair in itertools.pairwise(angles):
            a, b = (np.float32([-np.cos(t), 0, -np.sin(t)]) for t in pair)
            foot, head = np.float32([[x, base + low, z], [x, base + high, z]])
            ring = [foot + a * r0, foot + b * r0, head + b * r1, head + a * r1]
            faces.append((np.float32(ring), rgb(tint), tint != "ffe9a8"))
    for y in (0.9, 1.6, 2.3):
        pane = [(-0.06, 0), (0.06, 0), (0.06, 0.25), (-0.06, 0.25)]
        points = [(x + 0.1 + a, base + y + b, z - 0.5) for a, b in pane]
        faces.append((np.float32(points), rgb("3b3340"), 0))
    return faces


def boat(x, z, size, sail, hull):
    """Lists the faces of a sailing boat with two bellied sails."""
    faces = []
    for a, b in zip(np.linspace(-1, 0.875, 16), np.linspace(-0.875, 1, 16)):
        ring = [
            (a * 0.86, 0),
            (b * 0.86, 0),
            (b, 0.3 + b * b / 10),
            (a, 0.3 + a * a / 10),
        ]
        faces.append(([(p, q, 0.3 * (p * p - 1)) for p, q in ring], hull))
    for foot, reach, top, tint in ((0.1, -0.95, 2.2, 1), (0.18, 0.8, 1.7, 0.94)):
        for a, b in zip(np.linspace(0, 0.96, 25), np.linspace(0.04, 1, 25)):
            edge = []
            for s, up in ((a, 0), (b, 0), (b, 1), (a, 1)):
                belly = np.sin(np.pi * s) * 0.12 + s * 0.35
                edge.append((foot + reach * s, 0.5 + top * (1 - s) ** 1.15 * up, belly))
            faces.append((edge, sail * tint))
    mast = [(0.1, 0.3, 0), (0.16, 0.3, 0), (0.14, 2.85, 0), (0.11, 2.85, 0)]
    faces.append((mast, rgb("5a4030")))
    place = np.float32([x, 0, z])
    return [(np.float32(points) * size + place, tint, 1) for points, tint in faces]


def foliage(rng, x, z, base, size, count):
    """Lists leaf dabs of a tree: points, radii and shades, back to front."""
    lumps = rng.normal(size=(60, 3)).clip(-1.7, 1.7) * [0.42, 0.36, 0.4] + [0, 1.5, 0]
    pick = rng.integers(0, len(lumps), count)
    away = unit(rng.normal(size=(count, 3)))
    reach = 0.24 * rng.random((count, 1)) ** 0.3 * rng.uniform(0.8, 1.3, (count, 1))
    spot = lumps[pick] + away * reach * [1, 0.8, 1]
    light = away @ SUN * 0.5 + (spot - lumps.mean(0)) @ SUN * 0.5 + 0.42
    shade = np.clip(light + rng.normal(size=count) * 0.12, 0, 1)
    order = np.argsort(-(spot[:, 2] - 0.35 * shade))
    points = np.float32([x, base, z]) + spot[order] * size
    return points, rng.uniform(0.008, 0.02, count) * size, shade[order]


def draw_objects(image, faces, leaves, cam, focal):
    """Paints lit faces and leaf dabs over the picture."""
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    height, width = image.shape[:2]

    def project(points):
        scale = focal / points[:, 2]
        x, y = points[:, 0] * scale, (cam - points[:, 1]) * scale
        return np.stack([width / 2 + x, height / 2 + y], 1)

    for points, colour, matt in faces:
        normal = unit(np.cross(points[1] - points[0], points[-1] - points[0]))
        normal *= -np.sign(normal[2])
        light = rgb("7482ac") * 0.85 + rgb("ffd9a0") * max(0, normal @ SUN) * 0.9
        tint = np.clip(colour * (light if matt else 1), 0, 1) * 255
        draw.polygon([tuple(p) for p in project(points)], tuple(tint.astype(int)))
    for points, radii, shade in leaves:
        tints = ramp(shade, rgb("16261f", "2f4a2a", "6c7a34", "d9b75c")) * 255
        places, radii = project(points), radii * focal / points[:, 2]
        for (px, py), r, tint in zip(places, radii, tints.astype(int)):
            draw.ellipse((px - r, py - r * 0.7, px + r, py + r * 0.7), tuple(tint))
    return np.asarray(picture, np.float32) / 255


def harbor(rng):
    """Draws a harbour below mountains in the evening sun."""
    height, width, focal, cam = 1152, 1536, 1400.0, 1.25
    rows = np.arange(height, dtype=np.float32)
    u = (np.arange(width, dtype=np.float32) - width / 2) / focal
    up = np.abs(height / 2 - rows[:, None]) / focal
    tile = noise(rng, (1024, 1024), 2.0, 260, (1.5, 1))
    far = 70 / (up + 0.09)
    cloud = sample(tile, u * far * 2 + 40, far * 1.3)
    lit = cloud - sample(tile, u * far * 2 + 26, far * 1.3 - 10)
    dusk = rgb("ffd9a0", "f5c9a6", "b9bfd2", "7d9ccb", "5b82bd")
    sky = ramp(up / 0.43 + u * 0.12 + 0.02, dusk)
    glow = np.exp(-(((u + 0.45) / 0.4) ** 2) - (up / 0.16) ** 2)
    sky = mix(sky, rgb("fff0c0"), glow * 0.8)
    tint = ramp(0.5 + lit * 0.4, rgb("8f8fb0", "d8b3ac", "ffe3bd", "fff6e2"))
    sky = mix(sky, tint, smooth(-0.3, 1.3, cloud) * smooth(0.0, 0.1, up) * 0.95)
    z = np.geomspace(3.2, 420, 1100).astype(np.float32)
    land, colour = terrain(rng, z, u)
    image, hit = project_land(land, colour, z, rows, cam, focal, sky)
    shore = np.searchsorted(z, 9)
    island = np.where(land > 0, land, -9)[shore:]
    mirror = project_land(island, colour[shore:], z[shore:], rows, -cam, focal, sky)[0]
    white, red, slate = rgb("f2e8d8"), rgb("b5523c"), rgb("66697a")
    faces = house(8.0, 17, 0.9, 0.95, -0.4, rgb("e3c08a"), slate)
    faces += house(3.9, 15.6, 0.75, 0.72, 0.5, white, red) + tower(5.6, 15, 1.2)
    faces += house(6.9, 14.0, 0.8, 0.62, 0.45, rgb("c96f52"), slate)
    for index in range(7):
        wall = rgb("f2e8d8", "d99a6c", "b9c4c9")[index % 3]
        faces += house(-27 + index * 2.6, 52 - index % 2 * 2, 0.7, 0.9, 0.4, wall, red)
    faces += boat(-1.4, 22, 1.0, white, rgb("2f4a66")) + boat(1.2, 36, 1.0, white, red)
    faces += boat(-0.35, 11.5, 0.95, rgb("f6dcae"), rgb("8e3b30"))
    leaves = [foliage(rng, 9.2, 15.5, 0.6, 1.0, 9000)]
    leaves.append(foliage(rng, 2.6, 14.6, 0.3, 0.6, 6000))
    mirror = draw_objects(mirror, faces, leaves, -cam, focal)
    depth = focal * cam / np.maximum(rows - height / 2, 0.5)[:, None]
    wave = sample(tile, u * depth * 26, depth * 45)
    wave += 0.9 * sample(tile, u * depth * 70, depth * 210)
    ripple = wave * 46 / (1 + depth / 8)
    source = height - rows[:, None] + np.abs(ripple) * -0.9 - ripple * 0.4
    column = np.clip(np.arange(width) + ripple * 0.25, 0, width - 2)
    water = sample(mirror, column, np.clip(source, 0, height - 2))
    deep = smooth(0, 0.36, (rows[:, None] - height / 2) / focal) * (0.55 + 0.18 * wave)
    water = mix(water, rgb("1f4a5e"), np.clip(deep, 0, 0.8))
    water = mix(water, rgb("fff0cf"), smooth(1.1, 2.6, wave - u * 1.5) * 0.55)
    surface = (hit < 0) | (np.take_along_axis(land, np.maximum(hit, 0), 0) < 0)
    surface &= rows[:, None] > height / 2
    image = np.where(surface[..., None], water, image)
    trunk = [(-2.9, 0.4), (-2.7, 0.4), (-2.62, 2.2), (-2.7, 2.2)]
    faces.append((np.float32([(a, b, 5.4) for a, b in trunk]), rgb("5a4436"), 1))
    leaves.append(foliage(rng, -2.6, 5.4, 0.4, 1.25, 45000))
    image = draw_objects(image, faces, leaves, cam, focal)
    return image * (1 + 0.014 * noise(rng, (height, width), 0.8, 20))[..., None]


def still_life_distance(p):
    """Measures the distance from points to the objects on the table.

    Args:
        p: points of shape [N, 3] with y pointing up.

    Returns:
        Distance to the nearest surface and the number of its object.
    """
    x, y, z = p.T

    def ball(cx, cy, cz, radius):
        return np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - radius

    def apple(cx, cy, cz, size):
        r, h = np.hypot(x - cx, z - cz) / size, np.clip((y - cy) / size, -2, 2)
        tilt = np.hypot(r - 0.4, h * (0.7 - 0.1 * h)) - 0.6
        return tilt * size * 0.85

    def blend(a, b, k):
        t = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
        return b + (a - b) * t - k * t * (1 - t)

    r = np.hypot(x + 1.15, z - 0.9)
    neck = 0.19 + 0.42 * smooth(2.6, 1.6, y) + 0.04 * smooth(3.2, 3.24, y)
    bottle = np.maximum(r - neck, np.abs(y - 1.7) - 1.7) * 0.7 - 0.03
    q = np.hypot(x - 0.55, z - 0.1)
    shell = np.abs(np.hypot(q, y - 1.35) - 1.3) - 0.04
    bowl = np.maximum(shell, y - 1.0) - 0.02
    foot = np.maximum(np.abs(q - 0.45) - 0.06, np.abs(y - 0.07) - 0.07)
    pear = blend(ball(-0.75, 0.46, -1.0, 0.46), ball(-0.67, 1.06, -0.96, 0.24), 0.35)
    grapes = np.full_like(x, 99)
    for a, b, c in GRAPES:
        away = (x - 0.55 - a * 0.27) ** 2 + (y - 0.16 - b * 0.22) ** 2
        grapes = np.minimum(grapes, away + (z + 1.9 - c * 0.26) ** 2)
    grapes = np.sqrt(grapes) - 0.17
    parts = [
        y + 0 * x,
        4.2 - z,
        bottle,
        np.minimum(bowl, foot),
        np.minimum(apple(0.15, 1.2, -0.25, 0.5), apple(-1.95, 0.4, -0.45, 0.5)),
        np.minimum(ball(1.05, 1.15, -0.15, 0.47), ball(1.9, 0.44, -1.05, 0.44)),
        pear,
        grapes,
        ball(0.6, 1.25, 0.6, 0.5),
    ]
    return np.min(parts, 0), np.argmin(parts, 0)


def march(origin, ray):
    """Walks rays to the nearest surface and returns how far each went."""
    travelled = np.zeros(len(ray), np.float32)
    active = np.arange(len(ray))
    for _ in range(90):
        points = origin[active] + ray[active] * travelled[active, None]
        gap = still_life_distance(points)[0]
        travelled[active] += gap
        active = active[(gap > 0.0015) & (travelled[active] < 20)]
    return travelled


def still_life(rng):
    """Ray-marches fruit, a bowl and a bottle on a wooden table."""
    side = 920
    x, y = grid(side, side)
    ray = np.stack([x - 0.5, 0.48 - y, np.full_like(x, 1.55)], -1).reshape(-1, 3)
    ray = unit(ray)
    cos, sin = np.cos(0.2), np.sin(0.2)
    ray = ray @ np.float32([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    tiles = [noise(rng, (1024, 1024), 1.6, 200)]
    tiles.append(noise(rng, (1024, 1024), 1.7, 90, (1, 14)))
    bands = [shade_still_life(part, tiles) for part in np.array_split(ray, 40)]
    image = np.concatenate(bands).reshape(side, side, 3)
    return image * (1 + 0.02 * noise(rng, (side, side), 0.4, 10))[..., None]


def shade_still_life(ray, tiles):
    """Returns the colours which rays from the camera see."""
    eye = np.broadcast_to(np.float32([0.1, 2.75, -8.6]), ray.shape)
    p = eye + ray * march(eye, ray)[:, None]
    kind = still_life_distance(p)[1]
    d = np.float32([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    n = unit(sum(e * still_life_distance(p + e * 0.002)[0][:, None] for e in d))
    x, y, z = p.T
    speck = sample(tiles[0], x * 60 + y * 40, z * 60 + y * 45)
    grain = sample(tiles[1], x * 60 + np.floor(z / 0.9) * 333, z * 160)
    wood = ramp(0.5 + grain * 0.2, rgb("4a2614", "7d4824", "a96c38", "cf9a5a"))
    wood *= (1 - 0.6 * smooth(0.48, 0.495, np.abs(z / 0.9 % 1 - 0.5)))[:, None]
    plaster = sample(tiles[0], x * 50, y * 50)
    wall = ramp(0.5 + plaster * 0.13, rgb("3d4f58", "5d727a", "7f9195"))
    blush = np.clip(0.5 + 0.5 * np.sin(x * 3 + z * 2) + speck * 0.22, 0, 1)
    stripe = sample(tiles[0], np.arctan2(x - 0.15, z + 0.25) * 160, y * 6)
    ring = smooth(0.05, 0.02, np.abs(np.abs(y - 0.78) - 0.09))
    ripe = y * 0.6 + speck * 0.1 + 0.1 * n[:, 0]
    blush = blush * 0.7 + 0.2 + stripe * 0.13
    palette = [
        wood,
        wall,
        rgb("12301f") * np.ones_like(p),
        mix(rgb("e9e4d6"), rgb("2f5f9e"), ring),
        ramp(blush, rgb("e8b84a", "d8432c", "a8141f")),
        ramp(0.5 + speck * 0.12, rgb("d96a10", "f28a1c", "ffb040")),
        ramp(ripe, rgb("a3a02e", "c9c04a", "d9b84a")),
        ramp(0.5 + speck * 0.15, rgb("3a1638", "5b2454", "7d4070")),
        ramp(0.5 + speck * 0.15, rgb("e8c020", "f6d83c", "ffe870")),
    ]
    colour = np.choose(kind[:, None], palette)
    gloss = np.float32([0.12, 0, 0.9, 0.7, 0.5, 0.25, 0.2, 0.45, 0.3])[kind]
    lamp = unit(np.float32([-4.5, 7.5, -5.5]) - p)
    start = p + n * 0.02
    shadow, walk = np.ones(len(p), np.float32), np.full(len(p), 0.03, np.float32)
    for _ in range(22):
        gap = still_life_distance(start + lamp * walk[:, None])[0]
        shadow = np.minimum(shadow, np.clip(0.5 + 5 * gap / walk, 0, 1))
        walk += np.clip(gap, 0.04, 0.4)
    closed = sum((s - still_life_distance(p + n * s)[0]) / s for s in (0.12, 0.3, 0.6))
    open_air = np.clip(1 - 0.33 * closed, 0.12, 1)
    facing = np.clip((n * lamp).sum(1), 0, 1) * smooth(0, 1, shadow)
    shine = np.clip((n * unit(lamp - ray)).sum(1), 0, 1)
    rim = (1 - np.clip(-(n * ray).sum(1), 0, 1)) ** 3
    bounce = np.clip(-n[:, 1], 0, 1) * (y < 2)
    light = facing[:, None] * rgb("fff0d4") * 1.25
    light = light + (open_air * (0.30 + 0.2 * n[:, 1]))[:, None] * rgb("a9c0e6")
    light = light + (bounce * open_air)[:, None] * rgb("a0683a") * 0.5
    colour = colour * light
    spark = gloss * (shine**90 * 1.3 + shine**12 * 0.18) * smooth(0, 1, shadow)
    sheen = (rim * gloss * open_air * 0.45)[:, None] * rgb("bcd0ea")
    return 1 - np.exp(-1.75 * (colour + spark[:, None] + sheen))


def strokes(rng, shape, angle, colour, layers, strength):
    """Paints thick curved brush strokes along a field of directions.

    Args:
        rng: the random generator.
        shape: height and width of the picture.
        angle: direction of the strokes in radians per pixel.
        colour: the picture to follow.
        layers: count, length, width and colour spread of each layer.
        strength: how strongly the relief of the paint shows.

    Returns:
        The painted picture, lit as a relief of thick paint.
    """
    picture = Image.fromarray((np.clip(colour, 0, 1) * 255).astype(np.uint8))
    picture.putalpha(90)
    draw, bristles, steps = ImageDraw.Draw(picture), 10, 8
    for count, length, width, spread in layers:
        spot = rng.random((count, 2)) * [shape[1], shape[0]]
        tint = sample(colour, *spot.T) + rng.normal(size=(count, 1)) * spread
        tint += rng.normal(size=(count, 3)) * spread * 0.6
        path = [spot]
        for _ in range(steps):
            column, row = np.clip(path[-1].astype(int), 0, min(shape) - 1).T
            turn = angle[row, column]
            step = np.stack([np.cos(turn), np.sin(turn)], 1) * length / steps
            path.append(path[-1] + step)
        path = np.stack(path, 1)
        along = np.gradient(path, axis=1)
        across = np.stack([-along[..., 1], along[..., 0]], -1)
        across = unit(across)
        size = width * rng.uniform(0.7, 1.2, count)
        first = rng.integers(0, 2, (count, bristles))
        last = rng.integers(steps - 1, steps + 2, (count, bristles))
        load = rng.normal(size=(count, bristles)) * 0.05
        thick = int(np.ceil(width / bristles * 1.4))
        for i in range(count):
            for j, side in enumerate(np.linspace(-0.5, 0.5, bristles)):
                line = path[i] + across[i] * (side * size[i])
                fill = np.clip(tint[i] + load[i, j], 0, 1) * 255
                crest = 120 + 110 * (1 - 4 * side * side) + 500 * load[i, j]
                line = line[slice(first[i, j], last[i, j])].ravel().tolist()
                draw.line(line, (*map(int, fill), int(np.clip(crest, 0, 255))), thick)
    paint = np.asarray(picture, np.float32) / 255
    return paint[..., :3] * relief(blur(paint[..., 3], 1.1), strength)[..., None]


def swirls(rng):
    """Paints a night sky of whirls and stars in thick curved strokes."""
    side = 1280
    x, y = grid(side, side)
    flow = noise(rng, (side, side), 3.2, 420) * 0.012 + y * 0.2
    glow = np.zeros_like(x)
    for cx, cy, radius, turn in WHIRLS:
        away = np.hypot(x - cx, y - cy)
        flow += turn * radius * np.exp(-((away / radius) ** 2))
        rings = 0.72 + 0.28 * np.cos(away / radius * 16)
        glow += np.exp(-((away / radius / 0.55) ** 2)) * rings
    dy, dx = np.gradient(flow)
    angle = np.arctan2(-dx, dy)
    wave = np.sin(flow * 46) * 0.5 + 0.5 + noise(rng, (side, side), 3, 200) * 0.12
    night = rgb("10205a", "17398a", "2263b4", "5a9dd0", "b9dcd8")
    colour = ramp(0.85 * wave * wave + 0.1 * y, night)
    gold = ramp(glow, rgb("2f6a9a", "d9a520", "ffd23c", "fff3b0"))
    colour = mix(colour, gold, smooth(0.2, 0.6, glow))
    layers = [(3000, 150, 50, 0.04), (3800, 115, 36, 0.055), (1500, 80, 24, 0.08)]
    return strokes(rng, (side, side), angle, colour, layers, 2.2)


def mosaic(rng):
    """Sets a stained-glass sun from jewel-coloured tiles between leads."""
    side, cx, cy = 1024, 0.40, 0.42
    x, y = grid(side, side)
    x += noise(rng, x.shape, 3, 300) * 0.006
    y += noise(rng, x.shape, 3, 300) * 0.006
    seeds, tints = [(cx, cy)], [rgb("fff0a8")]
    rings = (
        (10, 0.085, "ffb01f ffd24a"),
        (14, 0.165, "e8471c f0801c"),
        (18, 0.245, "b3122a d3203a"),
        (22, 0.325, "0f4fa8 ffc93c"),
        (26, 0.41, "12368a 1c78c4"),
        (32, 0.50, "0f8f8a 1b5fb0"),
        (36, 0.60, "16824a 3aa86a"),
        (42, 0.70, "5a2a8c 8a3aa0"),
        (48, 0.80, "14307a 1f6ab8"),
    )
    for index, (count, radius, codes) in enumerate(rings):
        pair = rgb(*codes.split())
        for k in range(count):
            turn = 2 * np.pi * (k + index % 2 / 2) / count + rng.normal() * 0.025
            away = radius + rng.normal() * 0.007
            seeds.append((cx + away * np.cos(turn), cy + away * np.sin(turn)))
            tints.append(
                pair[k % 2] * rng.uniform(0.75, 1.2) + rng.normal(size=3) * 0.03
            )
    first, second = np.full((2, side, side), 9, np.float32)
    tile, other = np.zeros((2, side, side), int)
    for index, (sx, sy) in enumerate(seeds):
        away = (x - np.float32(sx)) ** 2 + (y - np.float32(sy)) ** 2
        near, next_best = away < first, away < second
        second = np.where(near, first, np.where(next_best, away, second))
        other = np.where(near, tile, np.where(next_best, index, other))
        first, tile = np.where(near, away, first), np.where(near, index, tile)
    seeds, tints = np.float32(seeds), np.float32(tints)
    span = np.linalg.norm(seeds[tile] - seeds[other], axis=-1) + 1e-6
    edge = (second - first) / (2 * span)
    lean = rng.normal(size=(len(seeds), 2)).astype("f4")[tile]
    tilt = (
        (x - seeds[tile, 0]) * lean[..., 0] + (y - seeds[tile, 1]) * lean[..., 1]
    ) * 4
    streak = (
        noise(rng, x.shape, 2.2, 120, (1, 3)) * 0.09 + noise(rng, x.shape, 1, 8) * 0.03
    )
    glow = 0.62 + 0.5 * smooth(0.006, 0.035, edge) + tilt + streak
    glass = tints[tile] * glow[..., None] + 0.14 * smooth(0.9, 1.5, glow)[..., None]
    dome = np.sqrt(np.clip(1 - (edge / 0.0068) ** 2, 0, 1))
    dome += noise(rng, x.shape, 1.5, 12) * 0.03
    lead = rgb("2a2a30") * relief(blur(dome * 5, 1), 1.3)[..., None]
    pane = relief(blur(np.minimum(edge, 0.02) * 160 + streak * 5, 2), 0.9)[..., None]
    return mix(lead, glass * pane, smooth(0.0048, 0.0068, edge))


def woodcut(rng):
    """Cuts rolling hills under a radiant sun, printed in three inks."""
    side, sx, sy = 1152, 0.64, 0.30
    x, y = grid(side, side)
    warp = noise(rng, x.shape, 3, 300) * 0.008
    away, turn = np.hypot(x - sx, y - sy), np.arctan2(y - sy, x - sx)
    phase = (away + warp) * 62
    tone = 0.16 + 0.62 * smooth(0.12, 0.75, away) + warp * 9
    rays = 0.5 + 0.5 * np.cos(turn * 22 + np.sin(away * 14) * 0.3)
    tone -= 0.30 * smooth(0.45, 0.6, rays) * smooth(0.7, 0.2, away)
    rose = (
        smooth(0.52, 0.56, rays) * smooth(0.155, 0.16, away) * smooth(0.62, 0.2, away)
    )
    rose = np.maximum(rose * 0.9, smooth(0.125, 0.12, away))
    tone *= smooth(0.128, 0.16, away)
    green = np.zeros_like(x)
    outline = np.exp(-(((away - 0.13) / 0.004) ** 2))
    for level in range(6):
        swing = 0.07 * np.sin(x * (5.5 - level * 0.5) + level * 2.4)
        crest = 0.50 + 0.085 * level + swing + 0.02 * np.sin(x * 13 + level)
        depth = y - crest
        land = smooth(-0.001, 0.001, depth)
        rows = depth * (60 if level % 2 else 30) + warp * 20
        fan = (x - 0.5 + 0.3 * (-1) ** level) / np.maximum(0.25 + depth, 0.1) * (
            13 + level
        ) + depth * 9
        shade = 0.12 + 3.4 * depth + 0.16 * np.sin(x * 9 + level * 2) + warp * 6
        for k in range(5):
            tx = (k * 0.27 + level * 0.173) % 1.15
            top = (
                0.5
                + 0.085 * level
                + 0.07 * np.sin(tx * (5.5 - level * 0.5) + level * 2.4)
            )
            top += 0.02 * np.sin(tx * 13 + level)
            tall = 0.05 + 0.012 * level
            across = (x - tx) / (tall * 0.42)
            shape = across**2 + ((y - top + tall * 0.8) / tall) ** 2
            shape += 0.22 * np.sin(np.arctan2(y - top + tall, x - tx) * 13)
            tree = smooth(1.03, 0.97, shape) * (level > 0)
            phase = np.where(tree > 0.5, (y - across**2 * 0.02) * 88, phase)
            tone = mix(tone[..., None], (0.55 + across * 0.42)[..., None], tree)[..., 0]
            rose = rose * (1 - tree)
            green = np.maximum(green * (1 - tree), tree * (k % 2))
            outline = outline * (1 - tree) + np.exp(-(((shape - 1) / 0.10) ** 2)) * (
                level > 0
            )
        phase = np.where(depth > 0, rows if level % 2 else fan, phase)
        tone = np.where(depth > 0, np.clip(shade, 0.08, 0.85), tone)
        rose = rose * (1 - land)
        green = np.where(depth > 0, 0.9 * (level % 2), green)
        outline = outline * (1 - land) + np.exp(-((depth / 0.0035) ** 2))
    ridge = np.abs(phase % 1 * 2 - 1) + noise(rng, x.shape, 1.6, 20) * 0.05
    key = np.maximum(smooth(-0.09, 0.09, tone - ridge), np.clip(outline, 0, 1))
    wear = noise(rng, x.shape, 1.2, 14)
    key = key * smooth(-2.9, -1.7, wear)
    flat = 0.88 + 0.06 * noise(rng, x.shape, 1.0, 30)
    fibre = noise(rng, x.shape, 1.2, 30, (1, 4))
    paper = rgb("f2e6cc") * (1 + 0.018 * fibre)[..., None]
    image = mix(
        paper,
        paper * rgb("e2707e"),
        np.roll(rose, 4, 1) * flat * smooth(-2.4, -1.2, wear),
    )
    image = mix(image, image * rgb("6fa39a"), np.roll(green, -4, 1) * flat)
    return mix(image, rgb("1c2138") * (1 + 0.1 * fibre[..., None]), key * 0.96)


def watercolor(rng):
    """Lets wet washes, blooms and loose flowers run on rough paper."""
    side = 1152
    x, y = grid(side, side)
    rough = noise(rng, x.shape, 1.1, 12)
    wet = noise(rng, x.shape, 2.4, 260)
    image = np.ones((side, side, 3), np.float32) * rgb("fdfaf3")

    def wash(where, level, tint, strength):
        """Lays a wash where level is positive, with dark pigment rims."""
        level = level + (wet[where] * 0.10 + rough[where] * 0.012)
        cover = smooth(0, 0.022, level)
        rim = np.exp(-np.maximum(level, 0) / 0.03) * 0.65 + 0.5
        pool = 1 + 0.25 * np.sin(wet[where] * 2.5 + level * 6) + 0.10 * rough[where]
        density = cover * rim * pool * strength
        image[where] *= np.exp(np.log(np.maximum(tint, 0.02)) * density[..., None])

    whole, taken = np.s_[:, :], [(0.5, 0.5)]
    for tint in ("8fc3ea", "f7b7b4", "bfe0a0", "f9df8c", "c4aeea"):
        field = noise(rng, x.shape, 2.6, 420)
        wash(whole, field * 0.3 - 0.16, rgb(tint), 0.9)
    for tint, count, low, high, petals in (
        ("8cc05e", 14, 0.03, 0.055, 2),
        ("4fa6a0", 8, 0.03, 0.05, 2),
        ("ec5f7c", 6, 0.08, 0.13, 5),
        ("f7a830", 5, 0.06, 0.11, 6),
        ("7f6ad8", 5, 0.06, 0.11, 5),
        ("3f90dc", 5, 0.06, 0.10, 5),
    ):
        for _ in range(count):
            spots = rng.random((200, 2))
            gaps = np.linalg.norm(spots[:, None] - np.float32(taken), axis=-1)
            cx, cy = spots[gaps.min(1).argmax()]
            taken += [(cx, cy)]
            turn = rng.random() * 6.3
            size, reach = rng.uniform(low, high), high * 2.2
            box = np.clip(
                np.array([cy - reach, cy + reach, cx - reach, cx + reach]), 0, 1
            )
            a, b, c, d = (box * side).astype(int)
            part = np.s_[a:b, c:d]
            away = np.hypot(x[part] - cx, y[part] - cy) / size
            angle = np.arctan2(y[part] - cy, x[part] - cx) + turn
            shape = 0.95 + (0.22 if petals > 2 else 0.65) * np.cos(petals * angle)
            wash(part, (shape - away) * 0.8, rgb(tint), 0.55)
            wash(part, (shape * 0.62 - away) * 0.8, rgb(tint), 0.35)
            if petals > 2:
                wash(part, (0.26 - away) * 0.8, rgb("a04a3c"), 0.45)
    drops = noise(rng, x.shape, 0.4, 9)
    image = mix(image, rgb("fdfaf3"), smooth(4.1, 4.4, blur(drops, 2.5) * 5.5) * 0.7)
    return image * relief(blur(rough, 1) * 0.12, 0.9)[..., None]


def cubist(rng):
    """Breaks the picture into angular shaded planes of dry paint."""
    side = 1152
    x, y = grid(side, side)
    cell, angle = np.zeros((side, side), int), np.zeros_like(x)
    shade, ink = np.zeros_like(x), np.zeros_like(x)
    for index in range(17):
        turn = rng.choice([0.15, 0.75, 1.35, 2.2, 2.8]) + rng.normal() * 0.12
        px, py = rng.uniform(0.1, 0.9, 2)
        away = (x - px) * np.cos(turn) + (y - py) * np.sin(turn)
        if index % 4 == 3:
            away = np.hypot(x - px, y - py) - rng.uniform(0.12, 0.3)
        cell = cell * 2 % 9973 + (away > 0)
        shade += (
            np.where(away > 0, 1, -0.35)
            * np.exp(-np.abs(away) * 9)
            * rng.choice([-1, 1])
        )
        ink = np.maximum(ink, np.exp(-((away / 0.0035) ** 2)) * (shade + 0.8 > 0))
        angle = np.where(away > 0, angle + turn * 1.7, angle)
    codes = (
        "c8963e e6cf9a 8a6a3a 5f7f80 2f5a60 d9b26a a9a79c 3a3f46 b4562e efe4c8 7f9a94"
    )
    palette = rgb(*codes.split())
    _, cell = np.unique(cell, return_inverse=True)
    tints = palette[rng.integers(0, len(palette), cell.max() + 1)]
    colour = (
        tints[cell.reshape(side, side)] * np.clip(1 + 0.5 * shade, 0.45, 1.5)[..., None]
    )
    colour = mix(colour, rgb("1f1d1e"), ink * 0.85)
    layers = [(4500, 50, 40, 0.02), (5000, 36, 26, 0.03), (4000, 24, 12, 0.03)]
    paint = strokes(rng, (side, side), angle, colour, layers, 1.1)
    return mix(paint, rgb("221f1f"), ink * 0.75)


def save(image, path, width):
    """Scales a picture down to a width and writes it as JPEG."""
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    size = (width, round(width * picture.height / picture.width))
    picture.resize(size, Image.Resampling.LANCZOS).save(path, quality=88)


def save_film(source, path, frames=12, size=(144, 81)):
    """Writes a GIF that looks to and fro over a picture, nearer and farther."""
    with Image.open(source) as picture:
        width, height = picture.size
        looks = []
        for turn in np.linspace(0, 2 * np.pi, frames, endpoint=False):
            wide = width * (0.72 - 0.08 * np.cos(turn))
            high = wide * size[1] / size[0]
            left = (width - wide) * (0.5 + 0.45 * np.sin(turn))
            top = (height - high) * 0.55
            box = (left, top, left + wide, top + high)
            looks.append(picture.resize(size, Image.Resampling.LANCZOS, box))
    palette = Image.fromarray(np.hstack(looks)).quantize(256)
    first, *others = (look.quantize(palette=palette) for look in looks)
    first.save(path, save_all=True, append_images=others, duration=150, loop=0)


def main():
    """Draws every picture into the chosen folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent,
        help="folder for the pictures",
    )
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (harbor, still_life, swirls, mosaic, woodcut, watercolor, cubist):
        name = f"{draw.__name__}.jpg"
        width = 768 if draw is harbor else 640
        save(draw(np.random.default_rng(7)), folder / name, width)
        print(name)
    save_film(folder / "harbor.jpg", folder / "harbor.gif")
    print("harbor.gif")


if __name__ == "__main__":
    main()
