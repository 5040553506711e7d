// The surface in three dimensions: orthographic, drawn from back to front.

const HEIGHT = 1.25; // of the loss scale, in units of the weights' reach
const RIM = 4; // grid points left out around the map's square
const STRIDE = 2; // grid points a cell
const HOME = { turn: 0.5, tilt: 0.62 };

function drawRelief(canvas, view, { turn, tilt }) {
  const { ctx, width, height } = begin(canvas);
  const [cos, sin, rise, drop] = [Math.cos(turn), Math.sin(turn), Math.sin(tilt), Math.cos(tilt)];
  const reach = gridWeight(SIDE - 1 - RIM, view.extent);
  const top = HEIGHT * reach;
  const across = 2 * Math.SQRT2 * reach;
  const scale = Math.min((width - 64) / across, (height - 40) / (across * rise + top * drop));
  const middle = height / 2 + (scale * top * drop) / 2 - 8;
  const depthOf = (a, b) => a * -sin + b * cos;
  const at = ([a, b, loss]) => [
    width / 2 + 12 + scale * (a * cos + b * sin),
    middle - scale * (depthOf(a, b) * rise + ((loss * top) / view.top) * drop),
  ];

  drawBox(ctx, at, depthOf, view, reach);
  const items = [...cells(view), ...ribbons(view, reach)];
  // A ribbon lies on the surface: it goes after the cells that it touches, up to one behind it.
  const lift = (2 * STRIDE * view.extent) / (SIDE - 1);
  for (const item of items) {
    const n = item.points.length;
    item.far = depthOf(
      item.points.reduce((s, p) => s + p[0], 0) / n,
      item.points.reduce((s, p) => s + p[1], 0) / n,
    ) - (item.fill ? 0 : lift);
  }
  items.sort((p, q) => q.far - p.far);
  for (const { points, fill, color, size } of items) {
    if (!fill) {
      line(ctx, points.map(at), color, size);
      continue;
    }
    ctx.beginPath();
    points.forEach((p) => ctx.lineTo(...at(p)));
    ctx.closePath();
    ctx.fillStyle = ctx.strokeStyle = fill;
    ctx.lineWidth = 0.7;
    ctx.fill();
    ctx.stroke();
    ctx.globalAlpha = 0.14;
    ctx.strokeStyle = theme.ink;
    ctx.stroke();
    ctx.globalAlpha = 1;
  }
  for (const [a, b] of view.best) star(ctx, at([a, b, view.deepBest]), 10);
  const first = [...view.chosen[0], view.deepCurve[0]];
  if (first[2] <= view.top) dot(ctx, at(first), 5.5, theme.deep, theme.page);
}

// The cells of the surface, what is above the scale cut away.
function cells({ grid, extent, top }) {
  const found = [];
  for (let i = RIM; i < SIDE - 1 - RIM; i += STRIDE) {
    for (let j = RIM; j < SIDE - 1 - RIM; j += STRIDE) {
      const corners = [[i, j], [i + STRIDE, j], [i + STRIDE, j + STRIDE], [i, j + STRIDE]]
        .map(([a, b]) => [gridWeight(a, extent), gridWeight(b, extent), grid[a * SIDE + b]]);
      const points = cutAt(top, corners);
      if (points.length < 3) continue;
      const mean = points.reduce((s, p) => s + p[2], 0) / points.length;
      found.push({ points, fill: `rgb(${blue(mean / top)})` });
    }
  }
  return found;
}

function cutAt(top, corners) {
  const kept = [];
  corners.forEach((p, k) => {
    const q = corners[(k + 1) % corners.length];
    if (p[2] <= top) kept.push(p);
    if (p[2] <= top !== q[2] <= top) {
      const share = (top - p[2]) / (q[2] - p[2]);
      kept.push([0, 1, 2].map((c) => p[c] + share * (q[c] - p[c])));
    }
  });
  return kept;
}

// Paths and the shallow floor's line as short pieces on the surface.
function ribbons(view, reach) {
  const inside = ([a, b]) => Math.max(Math.abs(a), Math.abs(b)) <= reach;
  const raise = (point) => [...point, view.lossAt(point) + 0.009 * view.top];
  const pieces = [];
  const add = (path, color, size) => {
    const raised = path.map((p) => (inside(p) ? raise(p) : null));
    for (let n = 0; n + 1 < path.length; n++) {
      const points = [raised[n], raised[n + 1]];
      if (points.every((p) => p && p[2] <= 1.015 * view.top)) pieces.push({ points, color, size });
    }
  };
  for (const segment of view.floorLine) add(segment, theme.shallow, 2);
  for (const run of view.runs) add(run, theme.deep, 1.4);
  add(view.chosen, theme.deep, 3.6);
  return pieces;
}

function drawBox(ctx, at, depthOf, view, E) {
  const corners = [[-E, -E], [E, -E], [E, E], [-E, E]];
  const depths = corners.map((c) => depthOf(...c));
  const near = depths.indexOf(Math.min(...depths));
  const far = (near + 2) % 4;
  const beside = [(near + 1) % 4, (near + 3) % 4];

  const ticks = weightTicks(E);
  const heights = lossTicks(view.top);
  for (const v of ticks) {
    line(ctx, [at([v, -E, 0]), at([v, E, 0])], theme.line, 0.8);
    line(ctx, [at([-E, v, 0]), at([E, v, 0])], theme.line, 0.8);
  }
  for (const loss of heights) {
    line(ctx, [beside[0], far, beside[1]].map((k) => at([...corners[k], loss])), theme.line, 0.8);
  }
  for (const k of [...beside, far]) line(ctx, [at([...corners[k], 0]), at([...corners[k], view.top])], theme.line, 0.8);

  const left = beside.reduce((p, q) => (at([...corners[p], 0])[0] < at([...corners[q], 0])[0] ? p : q));
  line(ctx, [at([...corners[left], 0]), at([...corners[left], view.top])], theme.ink, 1);
  for (const loss of heights) {
    const [x, y] = at([...corners[left], loss]);
    line(ctx, [[x - 4, y], [x, y]], theme.ink, 1);
    text(ctx, plain(loss), x - 7, y, { align: "right", size: 12 });
  }
  const [midX, midY] = at([...corners[left], view.top / 2]);
  text(ctx, "loss after adaptation", Math.max(midX - 38, 8), midY, { size: 12.5, turn: -Math.PI / 2 });
  const [centreX, centreY] = at([0, 0, 0]);

  for (const k of beside) {
    const along = corners[k][0] !== corners[near][0] ? 0 : 1;
    const fixed = corners[near][1 - along];
    const point = (v) => at(along ? [fixed, v, 0] : [v, fixed, 0]);
    line(ctx, [point(-E), point(E)], theme.ink, 1);
    const [mx, my] = point(0);
    const [dx, dy] = [mx - centreX, my - centreY];
    const away = Math.hypot(dx, dy) || 1;
    const beyond = (v, r) => point(v).map((c, i) => c + (r * [dx, dy][i]) / away);
    for (const v of ticks) text(ctx, minus(v), ...beyond(v, 12), { size: 12 });
    text(ctx, along ? view.upperShort : "w₁", ...beyond(tickStep(E) / 2, along ? 30 : 28), { size: 13 });
  }
}
