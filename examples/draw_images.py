"""Renders the example pictures (small lit scenes of rounded solids) and draws the example digits."""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SEED = 7
SUN = np.array([0.45, 0.75, 0.5], np.float32)
SUN /= np.linalg.norm(SUN)


# Solids: each is a pair of (signed distance of (n, 3) points, colour). x runs along the body, y up, z to the viewer.


def limb(a, b, ra, rb, colour):
    """A cone with round ends from a to b."""
    a, ab = np.float32(a), np.float32(b) - np.float32(a)

    def distance(p):
        t = np.clip((p - a) @ ab / max(ab @ ab, 1e-9), 0, 1)
        return np.linalg.norm(p - a - t[:, None] * ab, axis=1) - (ra + (rb - ra) * t)

    return distance, colour


def ellipsoid(centre, radii, colour, tilt=0.0):
    """An ellipsoid, its nose raised by tilt radians."""
    centre, radii = np.float32(centre), np.float32(radii)
    c, s = math.cos(tilt), math.sin(tilt)
    turn = np.float32([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    def distance(p):
        q = (p - centre) @ turn / radii
        k = np.linalg.norm(q, axis=1)
        return k * (k - 1) / np.maximum(np.linalg.norm(q / radii, axis=1), 1e-6)

    return distance, colour


def slab(points, axis, low, high, colour, round=0.03):
    """A polygon (in the two other axes, in order) extruded along an axis from low to high."""
    points = np.float32(points)
    plane = [i for i in range(3) if i != axis]

    def distance(p):
        q = p[:, plane]
        nearest = np.full(len(q), 1e9, np.float32)
        inside = np.zeros(len(q), bool)
        for a, b in zip(points, np.roll(points, -1, 0)):
            e, w = b - a, q - a
            t = np.clip(w @ e / (e @ e), 0, 1)
            nearest = np.minimum(nearest, ((w - t[:, None] * e) ** 2).sum(1))
            crosses = (a[1] > q[:, 1]) != (b[1] > q[:, 1])
            inside ^= crosses & (w[:, 0] < e[0] * w[:, 1] / (e[1] if e[1] else 1))
        flat = np.sqrt(nearest) * np.where(inside, -1, 1)
        deep = np.abs(p[:, axis] - (low + high) / 2) - (high - low) / 2
        both = np.stack([flat + round, deep + round], 1)
        return np.minimum(both.max(1), 0) + np.linalg.norm(np.maximum(both, 0), axis=1) - round

    return distance, colour


def box(low, high, colour, round=0.03):
    return slab([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])], 2, low[2], high[2],
                colour, round)


def disc(centre, radius, half, colour):
    """A cylinder along z: a wheel."""
    centre = np.float32(centre)

    def distance(p):
        q = p - centre
        both = np.stack([np.hypot(q[:, 0], q[:, 1]) - radius, np.abs(q[:, 2]) - half], 1)
        return np.minimum(both.max(1), 0) + np.linalg.norm(np.maximum(both, 0), axis=1)

    return distance, colour


# Textures.


def noise(shape, cells, rng, octaves=4):
    """Smooth noise in 0..1 with about the given number of cells (down, across)."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        grid = rng.random((int(cells[0] * 2**octave) + 2, int(cells[1] * 2**octave) + 2), np.float32)
        layer = Image.fromarray(grid).resize((shape[1], shape[0]), Image.BICUBIC)
        total += np.asarray(layer) / 2 ** (octave + 1)
    return np.clip(total, 0, 1)


def mix(a, b, t):
    return np.float32(a) + (np.float32(b) - np.float32(a)) * t[..., None]


def sky(shape, rng, top, bottom, cloud=0.0):
    down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None] * np.ones(shape, np.float32)
    clouds = np.clip((noise(shape, (4, 2.5), rng) - 0.5) * 4, 0, 1) * cloud
    return mix(mix(top, bottom, down), (0.97, 0.97, 0.98), clouds)


def foliage(shape, rng, dark, light, cells=(5, 6)):
    """Leaves or bushes out of focus."""
    return mix(dark, light, noise(shape, cells, rng))


# Rendering.


def render(scene, pixels, seed):
    """Sphere-traces the scene's solids in front of its backdrop and its ground plane."""
    rng = np.random.default_rng(seed)
    shape = (pixels, pixels)
    solids, k = scene["solids"], scene.get("blend", 0.02)

    def distance(p):
        nearest = None
        for d, _ in solids:
            value = d(p)
            if nearest is None:
                nearest = value
            else:
                h = np.maximum(k - np.abs(nearest - value), 0) / k
                nearest = np.minimum(nearest, value) - h * h * k / 4
        return nearest

    def march(origin, ray, reach, steps):
        """Returns the distance to the first hit, or infinity, of each ray."""
        t = np.full(len(ray), 0.02, np.float32)
        hit = np.full(len(ray), np.inf, np.float32)
        live = np.arange(len(ray))
        for _ in range(steps):
            d = distance(origin[live] + ray[live] * t[live, None])
            near = d < 0.003
            hit[live[near]] = t[live[near]]
            t[live] += d * 0.9
            live = live[~near & (t[live] < reach)]
            if not len(live):
                break
        return hit

    target, eye = np.float32(scene["target"]), np.float32(scene["eye"])
    forward = target - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    v, u = np.meshgrid(np.linspace(1, -1, pixels), np.linspace(-1, 1, pixels), indexing="ij")
    zoom = math.tan(math.radians(scene.get("view", 30) / 2))
    ray = np.float32(forward + zoom * (u[..., None] * right + v[..., None] * up)).reshape(-1, 3)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    origin = np.broadcast_to(eye, ray.shape)
    colour = scene["backdrop"](shape, rng).reshape(-1, 3).copy()
    centre, radius = np.float32(scene.get("centre", scene["target"])), scene.get("radius", 1.6)

    def meets(start, direction):
        """Which rays pass the sphere around all solids."""
        w = centre - start
        along = (w * direction).sum(1)
        return ((w * w).sum(1) - along**2 < radius**2) & (along > -radius)

    reach = float(np.linalg.norm(eye - centre) + radius)
    t = np.full(len(ray), np.inf, np.float32)
    seen = np.flatnonzero(meets(origin, ray))
    t[seen] = march(origin[seen], ray[seen], reach, 80)

    def sunlit(points):
        light = np.ones(len(points), np.float32)
        toward = np.broadcast_to(SUN, points.shape)
        maybe = np.flatnonzero(meets(points, toward))
        light[maybe] = ~np.isfinite(march(points[maybe], toward[maybe], 2 * radius + 1, 40))
        return light

    if "ground" in scene:
        far = (scene.get("level", 0) - eye[1]) / np.where(ray[:, 1] < -1e-3, ray[:, 1], np.inf)
        floor = np.flatnonzero((far > 0) & (far < t))
        t[floor] = np.inf
        points = origin[floor] + ray[floor] * far[floor, None]
        tint = scene["ground"](shape, rng).reshape(-1, 3)[floor]
        under = np.clip(0.35 + distance(points) * 1.5, 0, 1)
        shade = (0.45 * under + 0.55 * sunlit(points + SUN * 0.01))[:, None]
        haze = np.exp(-np.maximum(far[floor, None] - reach, 0) * scene.get("haze", 0.03))
        colour[floor] = colour[floor] * (1 - haze) + tint * shade * haze

    body = np.flatnonzero(np.isfinite(t))
    points = origin[body] + ray[body] * t[body, None]
    normal = sum(np.float32(e) * distance(points + np.float32(e) * 0.004)[:, None]
                 for e in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    depth = np.stack([d(points) for d, _ in solids], 1)
    weight = np.exp(-np.maximum(depth - depth.min(1, keepdims=True), 0) / scene.get("bleed", 0.008))
    tint = weight @ np.float32([c for _, c in solids]) / weight.sum(1, keepdims=True)
    tint *= 1 + scene.get("mottle", 0.1) * (2 * noise(shape, (20, 20), rng).reshape(-1)[body, None] - 1)
    direct = np.clip(normal @ SUN, 0, 1) * sunlit(points + normal * 0.03)
    ambient = 0.30 + 0.22 * normal[:, 1] + 0.10 * normal[:, 2]
    half = SUN - ray[body]
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = np.clip((normal * half).sum(1), 0, 1) ** 30 * scene.get("gloss", 0.1) * (direct > 0)
    colour[body] = tint * (ambient + 0.85 * direct)[:, None] + gloss[:, None]
    return np.clip(colour.reshape(pixels, pixels, 3), 0, 1)


def photograph(linear, size, seed):
    """Reduces a render to its final size, a little soft and grainy like a photo."""
    image = Image.fromarray(np.uint8(linear * 255 + 0.5)).resize((size, size), Image.BOX)
    values = np.float32(image.filter(ImageFilter.GaussianBlur(size / 400)))
    grain = np.random.default_rng(seed).normal(0, 0.8, (size, size, 1))
    return Image.fromarray(np.uint8(np.clip(values + grain, 0, 255)))


# The scenes.

WHITE, BLACK, RUBBER = (0.95, 0.95, 0.95), (0.03, 0.03, 0.03), (0.05, 0.05, 0.06)
GLASS, METAL = (0.10, 0.14, 0.18), (0.6, 0.62, 0.65)


def grass(shape, rng):
    return foliage(shape, rng, (0.18, 0.33, 0.08), (0.52, 0.66, 0.25), (30, 12))


def asphalt(shape, rng):
    return foliage(shape, rng, (0.36, 0.36, 0.37), (0.56, 0.55, 0.54), (40, 20))


def sea(shape, rng):
    return foliage(shape, rng, (0.05, 0.20, 0.34), (0.35, 0.55, 0.68), (60, 9))


def blue_sky(shape, rng):
    return sky(shape, rng, (0.25, 0.50, 0.85), (0.75, 0.87, 0.97), 0.5)


def trees(shape, rng):
    """Bright sky above a dark line of trees at the horizon."""
    image = sky(shape, rng, (0.55, 0.72, 0.92), (0.85, 0.92, 0.97))
    leaves = foliage(shape, rng, (0.06, 0.14, 0.05), (0.28, 0.42, 0.18), (14, 14))
    down = np.linspace(0, 1, shape[0])[:, None]
    edge = 0.2 + 0.12 * noise(shape, (1, 8), rng)
    return np.where((down > edge)[..., None], leaves, image)


def forest(shape, rng):
    return foliage(shape, rng, (0.05, 0.12, 0.04), (0.38, 0.50, 0.22), (6, 7))


def airplane():
    wing = [(0.35, 0.1), (-0.25, 1.35), (-0.5, 1.35), (-0.25, 0.1)]
    tail = [(-0.95, 0.03), (-1.25, 0.5), (-1.4, 0.5), (-1.25, 0.03)]
    paint = (0.86, 0.86, 0.88)
    solids = [limb((1.05, 0, 0), (-0.9, 0, 0), 0.15, 0.15, paint),
              ellipsoid((1.05, -0.01, 0), (0.32, 0.14, 0.15), paint),
              limb((-0.9, 0, 0), (-1.35, 0.07, 0), 0.15, 0.05, paint),
              box((1.13, 0.06, -0.1), (1.24, 0.1, 0.1), GLASS),
              slab([(-0.85, 0.1), (-1.25, 0.6), (-1.45, 0.6), (-1.3, 0.05)], 2, -0.025, 0.025, (0.1, 0.2, 0.55), 0.01)]
    solids += [disc((x, 0.04, 0), 0.02, 0.148, GLASS) for x in np.arange(-0.85, 1.0, 0.09)]
    for side in (1, -1):
        solids += [slab([(x, side * z) for x, z in wing], 1, -0.09, -0.04, METAL, 0.01),
                   slab([(x, side * z) for x, z in tail], 1, 0.03, 0.07, METAL, 0.01),
                   limb((0.25, -0.17, side * 0.5), (-0.1, -0.17, side * 0.5), 0.085, 0.07, METAL)]
    return {"solids": solids, "target": (-0.05, 0.08, 0), "eye": (2.2, 1.8, 4.4), "view": 32, "backdrop": blue_sky,
            "blend": 0.01, "gloss": 0.3}


def ship():
    hull, red, white = (0.10, 0.14, 0.24), (0.55, 0.10, 0.08), (0.93, 0.93, 0.90)
    plan = [(1.5, 0), (1.1, 0.2), (0.7, 0.28), (-1.2, 0.28), (-1.35, 0.2), (-1.35, -0.2), (-1.2, -0.28), (0.7, -0.28),
            (1.1, -0.2)]
    solids = [slab(plan, 1, -0.2, 0.06, red, 0.02),
              slab([(x * 1.02, z * 1.04) for x, z in plan], 1, 0.05, 0.34, hull, 0.02),
              box((-1.0, 0.3, -0.2), (0.55, 0.5, 0.2), white), box((-0.9, 0.5, -0.18), (0.40, 0.64, 0.18), white),
              box((-0.1, 0.62, -0.16), (0.30, 0.80, 0.16), white),
              box((-0.06, 0.70, -0.17), (0.32, 0.76, 0.17), GLASS, 0.005),
              limb((-0.45, 0.6, 0), (-0.48, 0.95, 0), 0.11, 0.10, (0.75, 0.2, 0.1)),
              limb((-0.48, 0.93, 0), (-0.48, 1.0, 0), 0.105, 0.10, BLACK),
              limb((0.1, 0.8, 0), (0.1, 1.25, 0), 0.015, 0.01, white),
              limb((0.9, 0.3, 0), (0.9, 0.8, 0), 0.015, 0.01, white),
              limb((-1.1, 0.3, 0), (-1.1, 0.7, 0), 0.015, 0.01, white)]
    solids += [disc((x, 0.41, 0.2), 0.03, 0.006, GLASS) for x in np.arange(-0.9, 0.5, 0.14)]
    return {"solids": solids, "target": (0.05, 0.35, 0), "eye": (1.6, 0.9, 5.2), "view": 33, "backdrop": blue_sky,
            "ground": sea, "blend": 0.01, "gloss": 0.15, "haze": 0.03}


def automobile():
    paint = (0.75, 0.06, 0.05)
    body = [(-1.15, 0.22), (-1.2, 0.5), (-1.1, 0.62), (-0.5, 0.66), (0.55, 0.64), (1.05, 0.55), (1.2, 0.42),
            (1.2, 0.22)]
    cabin = [(-0.95, 0.6), (-0.65, 0.95), (-0.35, 1.02), (0.12, 1.0), (0.62, 0.6)]
    glass = [(-0.8, 0.66), (-0.6, 0.90), (-0.34, 0.96), (0.09, 0.94), (0.48, 0.66)]
    solids = [slab(body, 2, -0.5, 0.5, paint, 0.06), slab(cabin, 2, -0.42, 0.42, paint, 0.06),
              slab(glass, 2, -0.432, 0.432, GLASS, 0.01),
              slab([(0.24, 0.93), (0.6, 0.62), (0.64, 0.64), (0.28, 0.95)], 2, -0.34, 0.34, GLASS, 0.01),
              box((-0.24, 0.62, -0.435), (-0.17, 0.96, 0.435), paint, 0.01),
              box((1.14, 0.22, -0.45), (1.24, 0.32, 0.45), (0.1, 0.1, 0.1))]
    solids += [ellipsoid((1.14, 0.46, z), (0.09, 0.06, 0.1), (1, 1, 0.9)) for z in (0.36, -0.36)]
    solids += [box((1.17, 0.36, -0.22), (1.215, 0.46, 0.22), (0.12, 0.12, 0.12), 0.01)]
    for x in (-0.72, 0.74):
        for z in (0.42, -0.42):
            solids += [disc((x, 0.21, z), 0.25, 0.085, BLACK), disc((x, 0.2, z), 0.2, 0.11, RUBBER),
                       disc((x, 0.2, z), 0.12, 0.118, METAL)]
    return {"solids": solids, "target": (0, 0.45, 0), "eye": (2.6, 1.3, 4.4), "view": 30, "backdrop": trees,
            "ground": asphalt, "blend": 0.01, "gloss": 0.5, "mottle": 0.03}


def truck():
    cab = (0.10, 0.25, 0.65)
    nose = [(0.55, 0.35), (0.55, 1.25), (0.7, 1.3), (0.98, 1.28), (1.1, 0.85), (1.28, 0.8), (1.3, 0.35)]
    solids = [box((-1.45, 0.42, -0.45), (0.45, 1.5, 0.45), (0.9, 0.9, 0.88), 0.02),
              slab(nose, 2, -0.42, 0.42, cab, 0.05),
              box((-1.4, 0.3, -0.35), (0.9, 0.44, 0.35), (0.12, 0.12, 0.12)),
              slab([(0.72, 0.88), (0.74, 1.2), (0.96, 1.2), (1.05, 0.88)], 2, -0.43, 0.43, GLASS, 0.01),
              slab([(1.0, 1.22), (1.1, 0.88), (1.13, 0.88), (1.03, 1.22)], 2, -0.35, 0.35, GLASS, 0.005),
              box((1.26, 0.3, -0.42), (1.36, 0.46, 0.42), METAL, 0.02),
              box((1.28, 0.5, -0.22), (1.315, 0.74, 0.22), (0.15, 0.15, 0.17), 0.01)]
    solids += [ellipsoid((1.29, 0.6, z), (0.04, 0.06, 0.07), (1, 1, 0.85)) for z in (0.32, -0.32)]
    for x in (-1.15, -0.7, 0.95):
        for z in (0.38, -0.38):
            solids += [disc((x, 0.23, z), 0.23, 0.09, RUBBER), disc((x, 0.23, z), 0.11, 0.1, METAL)]
    return {"solids": solids, "target": (-0.05, 0.68, 0), "eye": (3.0, 1.4, 4.4), "view": 33, "backdrop": trees,
            "radius": 1.9,
            "ground": asphalt, "blend": 0.01, "gloss": 0.2, "mottle": 0.03}


def bird():
    back, wing, breast = (0.30, 0.22, 0.15), (0.22, 0.16, 0.11), (0.85, 0.42, 0.16)
    solids = [ellipsoid((0, 0.75, 0), (0.44, 0.29, 0.27), back, 0.45),
              ellipsoid((0.12, 0.68, 0), (0.33, 0.27, 0.26), breast, 0.6),
              ellipsoid((0.36, 1.07, 0), (0.2, 0.185, 0.18), back),
              ellipsoid((0.42, 1.0, 0), (0.15, 0.13, 0.165), breast),
              limb((0.52, 1.06, 0), (0.70, 1.04, 0), 0.045, 0.008, (0.2, 0.18, 0.15)),
              ellipsoid((0.45, 1.11, 0.155), (0.05, 0.05, 0.025), (0.8, 0.7, 0.5)),
              ellipsoid((0.455, 1.11, 0.17), (0.035, 0.035, 0.025), BLACK),
              limb((-0.3, 0.58, 0), (-0.85, 0.30, 0), 0.1, 0.06, wing),
              ellipsoid((-0.12, 0.75, 0.2), (0.36, 0.16, 0.1), wing, 0.55),
              limb((0.02, 0.5, 0.08), (0.08, 0.24, 0.08), 0.03, 0.02, (0.35, 0.2, 0.12)),
              limb((0.1, 0.5, -0.08), (0.16, 0.24, -0.08), 0.03, 0.02, (0.35, 0.2, 0.12)),
              limb((-1.3, 0.12, 0.1), (1.5, 0.24, -0.1), 0.085, 0.07, (0.36, 0.28, 0.2))]
    return {"solids": solids, "target": (0, 0.68, 0), "eye": (1.0, 1.0, 4.2), "view": 27, "backdrop": forest,
            "blend": 0.05,
            "bleed": 0.012, "radius": 2, "mottle": 0.3, "gloss": 0.03}


def horse():
    coat, dark, hoof = (0.42, 0.21, 0.09), (0.08, 0.05, 0.03), (0.12, 0.09, 0.07)
    solids = [ellipsoid((0, 1.12, 0), (0.62, 0.29, 0.25), coat),
              ellipsoid((-0.45, 1.15, 0), (0.33, 0.31, 0.26), coat),
              ellipsoid((0.45, 1.12, 0), (0.28, 0.31, 0.24), coat),
              limb((0.5, 1.2, 0), (0.92, 1.68, 0), 0.24, 0.12, coat),
              limb((0.92, 1.70, 0), (1.25, 1.42, 0), 0.125, 0.075, coat),
              limb((0.9, 1.8, 0.06), (0.9, 1.9, 0.07), 0.04, 0.015, coat),
              limb((0.9, 1.8, -0.06), (0.9, 1.9, -0.07), 0.04, 0.015, coat),
              limb((1.22, 1.43, 0), (1.28, 1.39, 0), 0.075, 0.065, dark),
              ellipsoid((1.03, 1.66, 0.105), (0.03, 0.03, 0.025), BLACK),
              limb((0.46, 1.45, 0), (0.82, 1.82, 0), 0.08, 0.06, dark),
              limb((-0.75, 1.28, 0), (-0.98, 1.05, 0), 0.07, 0.09, dark),
              limb((-0.98, 1.05, 0), (-1.0, 0.5, 0), 0.09, 0.03, dark)]
    for z, front, back in ((0.14, 0.06, -0.08), (-0.14, -0.12, 0.1)):
        solids += [limb((0.48, 0.95, z), (0.48 + front, 0.52, z), 0.13, 0.065, coat),
                   limb((0.48 + front, 0.52, z), (0.46 + front, 0.1, z), 0.065, 0.05, coat),
                   limb((0.46 + front, 0.1, z), (0.49 + front, 0.03, z), 0.055, 0.065, hoof),
                   limb((-0.5, 1.0, z), (-0.58 + back, 0.56, z), 0.18, 0.075, coat),
                   limb((-0.58 + back, 0.56, z), (-0.55 + back, 0.1, z), 0.07, 0.05, coat),
                   limb((-0.55 + back, 0.1, z), (-0.52 + back, 0.03, z), 0.055, 0.065, hoof)]
    return {"solids": solids, "target": (0.15, 0.95, 0), "eye": (1.05, 1.5, 5.2), "view": 30, "backdrop": trees,
            "ground": grass,
            "blend": 0.1, "bleed": 0.015, "gloss": 0.08}


def deer():
    coat, pale, antler = (0.50, 0.31, 0.15), (0.80, 0.68, 0.52), (0.45, 0.36, 0.25)
    solids = [ellipsoid((0, 1.05, 0), (0.56, 0.23, 0.2), coat), ellipsoid((-0.4, 1.08, 0), (0.26, 0.25, 0.21), coat),
              ellipsoid((0.38, 1.05, 0), (0.24, 0.25, 0.2), coat),
              limb((0.45, 1.15, 0), (0.72, 1.6, 0), 0.17, 0.09, coat),
              limb((0.72, 1.66, 0), (1.0, 1.53, 0), 0.105, 0.05, coat),
              ellipsoid((1.03, 1.52, 0), (0.04, 0.04, 0.04), BLACK),
              ellipsoid((0.82, 1.66, 0.085), (0.03, 0.03, 0.02), BLACK),
              limb((-0.62, 1.15, 0), (-0.74, 1.0, 0), 0.07, 0.04, pale),
              limb((0.3, 0.83, 0), (-0.3, 0.85, 0), 0.06, 0.06, pale),
              limb((0.55, 1.2, 0), (0.72, 1.5, 0), 0.1, 0.06, pale)]
    for s in (1, -1):
        solids += [limb((0.66, 1.72, s * 0.08), (0.56, 1.8, s * 0.24), 0.05, 0.03, coat),
                   limb((0.7, 1.74, s * 0.05), (0.6, 2.0, s * 0.2), 0.035, 0.03, antler),
                   limb((0.6, 2.0, s * 0.2), (0.75, 2.35, s * 0.32), 0.03, 0.012, antler),
                   limb((0.62, 1.95, s * 0.18), (0.85, 2.08, s * 0.2), 0.025, 0.01, antler),
                   limb((0.66, 2.15, s * 0.25), (0.46, 2.36, s * 0.3), 0.025, 0.01, antler)]
    for z, front, back in ((0.11, 0.05, -0.05), (-0.11, -0.08, 0.1)):
        solids += [limb((0.42, 0.92, z), (0.42 + front, 0.48, z), 0.1, 0.045, coat),
                   limb((0.42 + front, 0.48, z), (0.42 + front, 0.04, z), 0.042, 0.035, coat),
                   limb((-0.46, 0.95, z), (-0.55 + back, 0.52, z), 0.14, 0.05, coat),
                   limb((-0.55 + back, 0.52, z), (-0.5 + back, 0.04, z), 0.045, 0.035, coat)]
    return {"solids": solids, "target": (0.1, 1.12, 0), "eye": (2.0, 2.4, 4.8), "view": 30, "backdrop": forest,
            "ground": grass,
            "blend": 0.07, "bleed": 0.03, "gloss": 0.03}


def frog():
    skin, belly, spot = (0.30, 0.50, 0.12), (0.75, 0.78, 0.50), (0.16, 0.28, 0.07)
    solids = [ellipsoid((0, 0.42, 0), (0.68, 0.34, 0.48), skin, 0.35),
              ellipsoid((0.48, 0.58, 0), (0.36, 0.22, 0.38), skin),
              ellipsoid((0.44, 0.42, 0), (0.32, 0.18, 0.33), belly, 0.2)]
    for s in (1, -1):
        solids += [ellipsoid((0.5, 0.78, s * 0.25), (0.14, 0.13, 0.12), skin),
                   ellipsoid((0.55, 0.80, s * 0.31), (0.09, 0.09, 0.07), (0.75, 0.6, 0.1)),
                   ellipsoid((0.59, 0.81, s * 0.355), (0.055, 0.045, 0.035), BLACK),
                   limb((0.3, 0.4, s * 0.42), (0.42, 0.12, s * 0.6), 0.11, 0.07, skin),
                   limb((0.42, 0.1, s * 0.6), (0.68, 0.04, s * 0.66), 0.06, 0.05, skin),
                   limb((-0.45, 0.25, s * 0.4), (0.1, 0.32, s * 0.66), 0.2, 0.13, skin),
                   limb((0.1, 0.3, s * 0.68), (-0.45, 0.08, s * 0.72), 0.12, 0.07, skin),
                   limb((-0.45, 0.06, s * 0.72), (0.05, 0.04, s * 0.86), 0.06, 0.05, skin)]
    spots = [(-0.1, 0.73, 0.15), (-0.35, 0.55, 0.22), (0.15, 0.74, -0.1), (-0.2, 0.68, -0.2), (0.02, 0.62, 0.38),
             (0.1, 0.37, 0.76)]
    solids += [ellipsoid(place, (0.09, 0.05, 0.07), spot) for place in spots]
    return {"solids": solids, "target": (0.1, 0.38, 0.05), "eye": (2.2, 1.7, 3.4), "view": 28, "backdrop": forest,
            "ground": lambda shape, rng: foliage(shape, rng, (0.25, 0.19, 0.12), (0.52, 0.44, 0.30), (16, 12)),
            "blend": 0.08, "bleed": 0.02, "gloss": 0.3, "mottle": 0.25}


SCENES = [airplane, ship, automobile, truck, bird, horse, deer, frog]


# The digits, as strokes in a box of 1 x 1 with y down.


def arc(cx, cy, rx, ry, start, end):
    """Part of an ellipse, its angles in degrees from the right over the bottom."""
    angles = np.radians(np.linspace(start, end, 40))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


DIGITS = [
    [arc(0.5, 0.5, 0.36, 0.5, -70, 290)],
    [[(0.58, 0.0), (0.45, 1.0)]],
    [arc(0.48, 0.28, 0.34, 0.28, -170, 30) + [(0.1, 0.95), (0.92, 0.93)]],
    [arc(0.45, 0.25, 0.36, 0.25, -150, 90) + arc(0.45, 0.74, 0.40, 0.26, -90, 150)],
    [[(0.22, 0.0), (0.15, 0.5), (0.85, 0.48)], [(0.78, 0.05), (0.68, 1.0)]],
    [[(0.85, 0.02), (0.3, 0.04), (0.22, 0.42)] + arc(0.42, 0.68, 0.40, 0.31, -110, 140)],
    [arc(1.0, 0.70, 0.82, 0.72, -110, -175) + arc(0.50, 0.74, 0.33, 0.25, 170, 530)],
    [[(0.1, 0.06), (0.88, 0.04), (0.42, 1.0)]],
    [arc(0.5, 0.25, 0.29, 0.24, 90, 450) + arc(0.5, 0.75, 0.34, 0.26, -90, 270)],
    [arc(0.47, 0.28, 0.33, 0.28, -20, 340) + [(0.80, 0.25), (0.70, 1.0)]],
]


def draw_digit(strokes, size=112):
    """Draws white strokes on black, the digit in the middle 20/28 of the picture as in MNIST."""
    big = 8 * size
    image = Image.new("L", (big, big))
    pen = ImageDraw.Draw(image)
    points = np.concatenate([np.array(s) for s in strokes])
    middle = (points.min(0) + points.max(0)) / 2
    for stroke in strokes:
        places = (np.array(stroke) - middle) * (18 / 28 * big) + big / 2
        radius = 1.35 / 28 * big
        pen.line([tuple(p) for p in places], fill=255, width=round(2 * radius))
        for x, y in places:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return image.resize((size, size), Image.BOX).filter(ImageFilter.GaussianBlur(size / 80))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("examples"), help="folder for images/ and digits/")
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    for folder in ("images", "digits"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        picture = photograph(render(scene(), 2 * args.size, SEED), args.size, SEED)
        picture.save(args.out / "images" / f"{scene.__name__}.png", optimize=True)
    for digit, strokes in enumerate(DIGITS):
        draw_digit(strokes).save(args.out / "digits" / f"digit_{digit}.png", optimize=True)


if __name__ == "__main__":
    main()
