"""Renders the pictures of the demo: ten kinds of simple things, 64x64 RGB, no two alike.

A thing is drawn in two random colours with random proportions, then rotated, mirrored, scaled and seen at an angle, put
on a cluttered background, partly covered, lit unevenly, blurred and made noisy. Colour, size and place say nothing about
the kind; only the shape does. A picture depends on (seed, index) alone, given the versions of Pillow and NumPy.

    render.py --sheet sheet.png --seed 7        a sheet of ten pictures of each kind
"""
import argparse
import colorsys
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

KINDS = ["boat", "car", "cup", "fish", "flower", "house", "key", "mushroom", "tree", "umbrella"]
SIZE = 64
FINE = 2 * SIZE  # the scene is composed at twice the size
DRAWING = 192    # a thing is drawn on a square of this size, which spans [-1, 1] in both directions


def colour(rng, lightness):
    r, g, b = colorsys.hls_to_rgb(rng.random(), min(max(lightness, 0.05), 0.95), rng.uniform(0.1, 0.9))
    return int(255 * r), int(255 * g), int(255 * b)


class Pen:
    """Draws on [-1, 1] x [-1, 1], y downwards, in one of three styles: flat, flat with an outline, outline only."""

    def __init__(self, rng, background):
        self.rng = rng
        self.image = Image.new("RGBA", (DRAWING, DRAWING))
        self.draw = ImageDraw.Draw(self.image)
        away = rng.uniform(0.2, 0.45) * (1 if background < 0.5 else -1)
        self.main = colour(rng, background + away)
        self.other = colour(rng, background + away * rng.uniform(0.8, 1.5))
        line = colour(rng, background + 1.3 * away if rng.random() < 0.6 else 0.1)
        style = rng.random()
        self.filled = style < 0.85
        self.line = line if style > 0.45 else None
        self.width = rng.uniform(0.04, 0.09)

    def _at(self, points):
        return [((x + 1) * DRAWING / 2, (y + 1) * DRAWING / 2) for x, y in points]

    def shape(self, points, other=False):
        points = self._at(points)
        fill = (self.other if other else self.main) if self.filled else None
        if fill:
            self.draw.polygon(points, fill=fill)
        if self.line:
            self.draw.line(points + points[:2], fill=self.line, width=self._pixels(self.width), joint="curve")

    def oval(self, x, y, rx, ry=None, other=False, start=0.0, end=360.0):
        """An oval, or the part of one from `start` to `end` degrees, clockwise from the right."""
        ry = rx if ry is None else ry
        angles = [math.radians(start + (end - start) * i / 40) for i in range(41 if end - start < 360 else 40)]
        self.shape([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], other)

    def box(self, x0, y0, x1, y1, other=False):
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], other)

    def stroke(self, points, width, other=False):
        ink = (self.other if other else self.main) if self.filled else self.line
        points = self._at(points)
        self.draw.line(points, fill=ink, width=self._pixels(width), joint="curve")

    def arc(self, x, y, rx, ry, start, end, width, other=False):
        angles = [math.radians(start + (end - start) * i / 24) for i in range(25)]
        self.stroke([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], width, other)

    @staticmethod
    def _pixels(width):
        return max(1, round(width * DRAWING / 2))


def boat(pen, u):
    deck, depth, mast = u(0.3, 0.45), u(0.25, 0.4), u(-0.15, 0.15)
    pen.stroke([(mast, deck), (mast, -0.9)], 0.07, other=True)
    pen.shape([(mast + 0.06, u(-0.9, -0.75)), (mast + u(0.5, 0.75), deck - 0.1), (mast + 0.06, deck - 0.1)])
    if u(0, 1) < 0.6:
        pen.shape([(mast - 0.06, u(-0.75, -0.4)), (mast - u(0.4, 0.6), deck - 0.1), (mast - 0.06, deck - 0.1)])
    pen.shape([(-0.9, deck), (0.9, deck), (u(0.5, 0.65), deck + depth), (-u(0.5, 0.65), deck + depth)], other=True)


def car(pen, u):
    roof, belt, floor = u(-0.5, -0.3), u(-0.1, 0.05), u(0.3, 0.42)
    back, front = u(-0.75, -0.5), u(0.25, 0.5)
    slope = u(0.1, 0.3)
    pen.shape([(back, belt), (back + slope, roof), (front - slope, roof), (front, belt)])
    if u(0, 1) < 0.7:
        middle = (back + front) / 2
        pen.box(back + slope + 0.02, roof + 0.1, middle - 0.04, belt - 0.02, other=True)
        pen.box(middle + 0.04, roof + 0.1, front - slope - 0.02, belt - 0.02, other=True)
    pen.shape([(-0.92, belt), (front, belt), (0.85, belt + u(0.03, 0.15)), (0.92, floor), (-0.92, floor)])
    wheel = u(0.18, 0.25)
    for x in (-u(0.45, 0.6), u(0.45, 0.6)):
        pen.oval(x, floor, wheel, other=True)


def cup(pen, u):
    top, bottom, wide, narrow = u(-0.55, -0.35), u(0.5, 0.7), u(0.45, 0.6), u(0.3, 0.5)
    pen.arc(wide - 0.05, (top + bottom) / 2 - 0.08, u(0.28, 0.36), u(0.25, 0.35), -90, 90, u(0.09, 0.15))
    pen.shape([(-wide, top), (wide, top), (narrow, bottom), (-narrow, bottom)])
    if u(0, 1) < 0.6:
        pen.oval(0, top, wide, u(0.08, 0.16), other=True)
    if u(0, 1) < 0.35:
        pen.oval(0, bottom + 0.05, 0.85, 0.1, other=True)
    if u(0, 1) < 0.3:
        for x in (-0.2, 0.15):
            pen.arc(x, top - 0.3, 0.08, 0.14, 90, 270, 0.06, other=True)


def fish(pen, u):
    long, high, tail = u(0.55, 0.7), u(0.28, 0.45), u(0.25, 0.42)
    pen.shape([(long - 0.2, 0), (0.95, -tail), (u(0.78, 0.9), 0), (0.95, tail)], other=u(0, 1) < 0.5)
    if u(0, 1) < 0.6:
        pen.shape([(-0.25, -high * 0.8), (0.1, -high - u(0.15, 0.3)), (0.25, -high * 0.8)], other=True)
    pen.oval(-0.15, 0, long, high)
    pen.oval(-0.15 - long * 0.6, -high * 0.25, 0.07, other=True)
    if u(0, 1) < 0.4:
        pen.arc(-0.3, 0, 0.15, high * 0.7, -70, 70, 0.05, other=True)


def flower(pen, u):
    petals, far, radius, y = round(u(5, 8)), u(0.28, 0.36), u(0.17, 0.23), u(-0.4, -0.3)
    pen.stroke([(0, y), (u(-0.15, 0.15), 0.92)], u(0.07, 0.12), other=True)
    if u(0, 1) < 0.7:
        side = 1 if u(0, 1) < 0.5 else -1
        pen.shape([(0, 0.6), (side * 0.25, 0.3), (side * 0.5, 0.35), (side * 0.3, 0.58)], other=True)
    turn = u(0, 360)
    for i in range(petals):
        a = math.radians(turn + 360 * i / petals)
        pen.oval(far * math.cos(a), y + far * math.sin(a), radius)
    pen.oval(0, y, u(0.14, 0.22), other=True)


def house(pen, u):
    eaves, wide, over = u(-0.25, 0.0), u(0.5, 0.7), u(0.05, 0.2)
    if u(0, 1) < 0.5:
        x = u(0.2, 0.4)
        pen.box(x, -0.75, x + 0.18, eaves, other=True)
    pen.box(-wide, eaves, wide, 0.8)
    pen.shape([(-wide - over, eaves), (u(-0.1, 0.1), u(-0.9, -0.65)), (wide + over, eaves)], other=True)
    door = u(-0.35, 0.15)
    pen.box(door, u(0.25, 0.4), door + u(0.2, 0.28), 0.8, other=True)
    if u(0, 1) < 0.7:
        x = door + 0.4 if door < -0.1 else door - 0.32
        pen.box(x - 0.1, 0.15, x + 0.12, 0.4, other=True)


def key(pen, u):
    radius, width, x = u(0.26, 0.36), u(0.1, 0.16), u(-0.6, -0.5)
    pen.stroke([(x + radius, 0), (0.92, 0)], width)
    teeth = round(u(2, 3))
    for i in range(teeth):
        at = 0.86 - i * u(0.17, 0.22)
        pen.stroke([(at, 0), (at, u(0.22, 0.36))], u(0.09, 0.13))
    if u(0, 1) < 0.5:
        pen.arc(x, 0, radius, radius * u(0.8, 1.1), 0, 360, u(0.12, 0.18))
    else:
        pen.oval(x, 0, radius)
        pen.oval(x - 0.06, 0, u(0.09, 0.14), other=True)


def mushroom(pen, u):
    edge, high, wide = u(-0.05, 0.12), u(0.6, 0.85), u(0.65, 0.85)
    top, foot = u(0.14, 0.24), u(0.18, 0.34)
    pen.shape([(-top, edge), (top, edge), (foot, 0.85), (-foot, 0.85)], other=True)
    pen.oval(0, edge, wide, high, start=180, end=360)
    if u(0, 1) < 0.7:
        for x, y in ((-0.4, 0.25), (0.05, 0.5), (0.4, 0.2))[: round(u(1, 3))]:
            pen.oval(x * wide, edge - y * high - 0.03, u(0.07, 0.13), other=True)


def tree(pen, u):
    pen.box(-u(0.08, 0.15), 0.2, u(0.08, 0.15), 0.92, other=True)
    if u(0, 1) < 0.5:
        layers = round(u(2, 3))
        for i in range(layers):
            base, half = 0.5 - i * 1.0 / layers, u(0.5, 0.65) * (1 - 0.22 * i)
            pen.shape([(-half, base), (0, base - u(0.6, 0.75)), (half, base)])
    else:
        for _ in range(round(u(3, 5))):
            pen.oval(u(-0.3, 0.3), u(-0.5, 0.0), u(0.3, 0.42))


def umbrella(pen, u):
    edge, high, wide, width = u(-0.15, 0.05), u(0.55, 0.75), u(0.75, 0.92), u(0.06, 0.1)
    hook = u(0.12, 0.18)
    pen.stroke([(0, edge - high - 0.12), (0, 0.75)], width, other=True)
    pen.arc(hook, 0.75, hook, hook, 0, 180, width, other=True)
    scallops = round(u(3, 5))
    points = [(wide * math.cos(a), edge + high * math.sin(a)) for a in np.linspace(math.pi, 2 * math.pi, 30)]
    step = 2 * wide / scallops
    for i in range(scallops):
        points += [(wide - step * (i + t), edge - 0.13 * math.sin(math.pi * t)) for t in np.linspace(0, 1, 9)[1:]]
    pen.shape(points)
    if u(0, 1) < 0.5:
        for x in (-step / 2, step / 2):
            pen.stroke([(0, edge - high), (x, edge)], 0.04, other=True)


DRAW = [boat, car, cup, fish, flower, house, key, mushroom, tree, umbrella]


def clutter(rng, draw, count, lightness, spread, size):
    for _ in range(count):
        ink = colour(rng, lightness + rng.uniform(-spread, spread))
        x, y, r = rng.uniform(0, FINE), rng.uniform(0, FINE), rng.uniform(*size)
        ends = (x - r, y - r, x + r, y + r)
        kind = rng.randrange(4)
        if kind == 0:
            draw.ellipse(ends, fill=ink)
        elif kind == 1:
            draw.polygon([(x + rng.uniform(-r, r), y + rng.uniform(-r, r)) for _ in range(4)], fill=ink)
        elif kind == 2:
            draw.arc(ends, rng.uniform(0, 180), rng.uniform(180, 360), fill=ink, width=rng.randrange(2, 6))
        else:
            draw.line((x, y, x + rng.uniform(-3, 3) * r, y + rng.uniform(-3, 3) * r), fill=ink, width=rng.randrange(2, 6))


def perspective(source, target):
    """The eight coefficients that Image.transform wants: from points of the target back to points of the source."""
    rows, right = [], []
    for (sx, sy), (tx, ty) in zip(source, target):
        rows += [[tx, ty, 1, 0, 0, 0, -sx * tx, -sx * ty], [0, 0, 0, tx, ty, 1, -sy * tx, -sy * ty]]
        right += [sx, sy]
    return np.linalg.solve(np.array(rows), np.array(right)).tolist()


def place(rng, thing):
    """The thing as seen in the scene: mirrored, turned, scaled, moved, and tilted away from the viewer."""
    half = FINE / 2 * rng.uniform(0.5, 0.92)
    turn, mirror = math.radians(rng.uniform(-40, 40)), rng.choice((-1, 1))
    slack = FINE / 2 - half * 0.9
    cx, cy = (FINE / 2 + rng.uniform(-slack, slack) for _ in range(2))
    corners = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = mirror * (x + rng.uniform(-0.18, 0.18)), y + rng.uniform(-0.18, 0.18)
        corners.append((cx + half * (x * math.cos(turn) - y * math.sin(turn)),
                        cy + half * (x * math.sin(turn) + y * math.cos(turn))))
    square = ((0, 0), (DRAWING, 0), (DRAWING, DRAWING), (0, DRAWING))
    return thing.transform((FINE, FINE), Image.Transform.PERSPECTIVE, perspective(square, corners),
                           Image.Resampling.BILINEAR)


def render(seed, index):
    """One picture: its kind, and its pixels as uint8 [64, 64, 3]."""
    rng = random.Random(f"inlay demo {seed} {index}")
    kind = rng.randrange(len(KINDS))
    lightness = rng.uniform(0.15, 0.85)
    scene = Image.new("RGB", (FINE, FINE), colour(rng, lightness))
    clutter(rng, ImageDraw.Draw(scene), rng.randrange(0, 14), lightness, 0.18, (5, 30))

    pen = Pen(rng, lightness)
    DRAW[kind](pen, rng.uniform)
    thing = place(rng, pen.image)
    if rng.random() < 0.4:  # its shadow
        dark = Image.new("RGBA", thing.size)
        dark.putalpha(thing.getchannel("A").point(lambda a: a // 3).filter(ImageFilter.GaussianBlur(3)))
        scene.paste(dark, (rng.randrange(-6, 7), rng.randrange(2, 9)), dark)
    scene.paste(thing, (0, 0), thing)
    clutter(rng, ImageDraw.Draw(scene), rng.randrange(0, 4), lightness, 0.3, (3, 11))  # in front of it
    if rng.random() < 0.6:
        scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.2)))
    scene = scene.resize((SIZE, SIZE), Image.Resampling.BOX)

    noise = np.random.default_rng(rng.getrandbits(64))
    pixels = np.asarray(scene, np.float32) / 255
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    light = rng.uniform(0.65, 1.2) + rng.uniform(-0.25, 0.25) * across + rng.uniform(-0.25, 0.25) * down
    pixels = pixels * light[..., None] * [rng.uniform(0.85, 1.1) for _ in range(3)]
    pixels = pixels + noise.normal(0, rng.uniform(0, 0.08), pixels.shape)
    return kind, (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def dataset(seed, count, progress=None):
    """`count` pictures, uint8 [count, 64, 64, 3], and their kinds, int64 [count]."""
    pictures, kinds = np.empty((count, SIZE, SIZE, 3), np.uint8), np.empty(count, np.int64)
    for i in range(count):
        kinds[i], pictures[i] = render(seed, i)
        if progress and (i + 1) % 500 == 0:
            progress(i + 1, count)
    return pictures, kinds


def main():
    parser = argparse.ArgumentParser(description="Writes a sheet of demo pictures, one row per kind.")
    parser.add_argument("--sheet", required=True, help="the picture file to write")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rows = [[] for _ in KINDS]
    index = 0
    while min(map(len, rows)) < 10:
        kind, pixels = render(args.seed, index)
        rows[kind].append(pixels)
        index += 1
    Image.fromarray(np.vstack([np.hstack(row[:10]) for row in rows])).save(args.sheet)


if __name__ == "__main__":
    main()
