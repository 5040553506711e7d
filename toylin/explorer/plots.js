// Drawing on flat canvases: colours, axes, the map and the two small plots.

const EXTENT = { 2: 3.8, 3: 2.4, 4: 2 }; // of the weights shown, by depth
const SIDE = 97; // grid points a side
const FONT = '"DejaVu Sans", system-ui, sans-serif';
const rgb = (hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
// From the best to what is cut off: away from the page's own colour, light or dark.
const ON_LIGHT = ["f7fbff", "deebf7", "c6dbef", "9ecae1", "6baed6", "4292c6", "2171b5", "08519c", "08306b"].map(rgb);
const ON_DARK = ["0d1620", "0f2740", "123a63", "1b5288", "2b6cab", "4787c2", "6ea6d6", "9cc6e8", "d3e7f7"].map(rgb);

// The page's colours, as its style has them now.
const theme = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "deep", "shallow", "ink", "muted", "line", "band", "second", "third", "fourth"]) {
    theme[name] = style.getPropertyValue(`--${name}`).trim();
  }
  theme.type = Number(getComputedStyle(document.body).getPropertyValue("--type"));
  theme.scale = matchMedia("(prefers-color-scheme: dark)").matches ? ON_DARK : ON_LIGHT;
}

// The colour of a share of the loss scale.
function blue(share) {
  const { scale } = theme;
  const at = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const low = Math.min(Math.floor(at), scale.length - 2);
  return scale[low].map((c, i) => Math.round(c + (at - low) * (scale[low + 1][i] - c)));
}

// Both scales go in factors of two, so that they rest while a slider is turned a little.
function lossTop(floor) {
  let top = 1.4;
  while (1.15 * floor > top) top *= 2;
  return top;
}

// A chapter that turns the step size keeps its scale, so that stars move as they do.
function weightExtent(depth, best, fixed) {
  let extent = EXTENT[depth];
  while (best > 0.95 * extent) extent *= 2;
  while (best < 0.3 * extent && !fixed) extent /= 2;
  return extent;
}

const gridWeight = (i, extent) => extent * ((2 * i) / (SIDE - 1) - 1);
const tickStep = (extent) => (extent < 0.7 ? 0.25 : extent < 1.3 ? 0.5 : extent < 4 ? 1 : extent < 8 ? 2 : 5);
const weightTicks = (extent) => [-3, -2, -1, 0, 1, 2, 3].map((k) => k * tickStep(extent)).filter((v) => Math.abs(v) <= extent);
const lossTicks = (top) => [0, 2, 4, 6].map((k) => (k * top) / 7);
const plain = (number) => `${Number(number.toPrecision(3))}`;
const minus = (number) => `${number}`.replace("-", "−");

// In pixels that are larger in a talk, and so is all that is drawn.
function logicalSize(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  return { width: width / theme.type, height: height / theme.type };
}

// Canvas context in those pixels, cleared, at the screen's resolution.
function begin(canvas) {
  const { width, height } = logicalSize(canvas);
  const ratio = theme.type * (window.devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.lineJoin = ctx.lineCap = "round";
  return { ctx, width, height };
}

function text(ctx, words, x, y, { size = 12.5, color = theme.ink, align = "center", base = "middle", bold = false, halo = false, turn = 0 } = {}) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(turn);
  ctx.font = `${bold ? "bold " : ""}${size}px ${FONT}`;
  ctx.textAlign = align;
  ctx.textBaseline = base;
  if (halo) {
    ctx.strokeStyle = theme.page;
    ctx.lineWidth = 4;
    ctx.strokeText(words, 0, 0);
  }
  ctx.fillStyle = color;
  ctx.fillText(words, 0, 0);
  ctx.restore();
}

function line(ctx, points, color, width = 1.5, dash = []) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

function dot(ctx, [x, y], radius, fill, edge) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.fill();
  if (edge) {
    ctx.strokeStyle = edge;
    ctx.lineWidth = 2;
    ctx.stroke();
  }
}

function star(ctx, [x, y], radius) {
  ctx.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = i % 2 ? 0.45 * radius : radius;
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    ctx.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  ctx.closePath();
  ctx.fillStyle = theme.page;
  ctx.fill();
  ctx.strokeStyle = theme.shallow;
  ctx.lineWidth = 1.3;
  ctx.stroke();
}

// Where the loss on the grid equals `level`: line segments in weights, by marching squares.
function contour(grid, level, extent) {
  const segments = [];
  for (let i = 0; i < SIDE - 1; i++) {
    for (let j = 0; j < SIDE - 1; j++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const values = corners.map(([a, b]) => grid[a * SIDE + b] - level);
      const crossings = [];
      for (let e = 0; e < 4; e++) {
        const [p, q] = [values[e], values[(e + 1) % 4]];
        if (p > 0 === q > 0) continue;
        const [a, b] = [corners[e], corners[(e + 1) % 4]];
        const at = p / (p - q);
        crossings.push([0, 1].map((k) => gridWeight(a[k] + at * (b[k] - a[k]), extent)));
      }
      for (let c = 0; c + 1 < crossings.length; c += 2) segments.push([crossings[c], crossings[c + 1]]);
    }
  }
  return segments;
}

// A frame with ticks and labels; returns what maps data to pixels.
function axes(ctx, box, { x, y, xTicks, yTicks, xLabel, yLabel }) {
  const px = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * (box.right - box.left);
  const py = (v) => box.bottom - ((v - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
  line(ctx, [[box.left, box.top], [box.left, box.bottom], [box.right, box.bottom]], theme.ink, 1);
  for (const v of xTicks) {
    line(ctx, [[px(v), box.bottom], [px(v), box.bottom + 4]], theme.ink, 1);
    text(ctx, minus(v), px(v), box.bottom + 13);
  }
  for (const v of yTicks) {
    line(ctx, [[box.left - 4, py(v)], [box.left, py(v)]], theme.ink, 1);
    text(ctx, minus(plain(v)), box.left - 7, py(v), { align: "right" });
  }
  text(ctx, xLabel, (box.left + box.right) / 2, box.bottom + 30, { size: 13 });
  text(ctx, yLabel, 9, (box.top + box.bottom) / 2, { size: 13, turn: -Math.PI / 2 });
  return { px, py };
}

const mapBox = (width, height) => ({ left: 42, right: width - 8, top: 8, bottom: height - 42 });

function drawMap(canvas, view) {
  const { ctx, width, height } = begin(canvas);
  const box = mapBox(width, height);
  const image = new ImageData(SIDE, SIDE);
  for (let i = 0; i < SIDE; i++) {
    for (let j = 0; j < SIDE; j++) {
      image.data.set([...blue(view.grid[i * SIDE + j] / view.top), 255], 4 * ((SIDE - 1 - j) * SIDE + i));
    }
  }
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  small.getContext("2d").putImageData(image, 0, 0);
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(small, 0.5, 0.5, SIDE - 1, SIDE - 1, box.left, box.top, box.right - box.left, box.bottom - box.top);
  const range = [-view.extent, view.extent];
  const ticks = weightTicks(view.extent);
  const { px, py } = axes(ctx, box, { x: range, y: range, xTicks: ticks, yTicks: ticks, xLabel: "lower weight w₁", yLabel: view.upperLabel });
  const at = ([a, b]) => [px(a), py(b)];

  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  ctx.clip();
  ctx.globalAlpha = 0.2;
  for (let k = 1; k < 7; k++) {
    for (const segment of contour(view.grid, (k * view.top) / 7, view.extent)) line(ctx, segment.map(at), theme.ink, 0.8);
  }
  ctx.globalAlpha = 1;
  for (const segment of view.floorLine) line(ctx, segment.map(at), theme.shallow, 2.4);
  for (const run of view.runs) {
    line(ctx, run.map(at), theme.deep, 1.3);
    dot(ctx, at(run[0]), 2.8, theme.deep);
  }
  const path = underWay(view) ? view.deepWeights.slice(0, view.updates + 1) : view.chosen;
  line(ctx, path.map(at), theme.page, 6);
  line(ctx, path.map(at), theme.deep, 3.4);
  for (const point of view.best) star(ctx, at(point), 11);
  dot(ctx, at(view.chosen[0]), 6, theme.deep, theme.page);
  if (underWay(view)) dot(ctx, at(view.deepWeights[view.updates]), 5, theme.page, theme.deep);
  ctx.restore();
}

const lossAxis = (top) => ({ y: [0, top], yTicks: lossTicks(top), yLabel: "loss after adaptation" });

// The band that no shallow start reaches, and its edge.
function shadeFloor(ctx, box, edge) {
  ctx.fillStyle = theme.band;
  ctx.fillRect(box.left, edge, box.right - box.left, box.bottom - edge);
  line(ctx, [[box.left, edge], [box.right, edge]], theme.muted, 1.3, [5, 4]);
}

function clipped(ctx, box, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top + 2);
  ctx.clip();
  draw();
  ctx.restore();
}

const LABEL = 16; // high

// Where to write of levels, from the highest to the lowest: beside them, apart, in their order.
function labelHeights(levels, { top, bottom }) {
  const found = [];
  for (const y of levels) found.push(Math.max(y, top + 6, (found.at(-1) ?? -Infinity) + LABEL));
  for (let k = found.length - 1; k >= 0; k--) found[k] = Math.min(found[k], k === found.length - 1 ? bottom - 6 : found[k + 1] - LABEL);
  return found;
}

// A plot of losses whose levels are named at its right, where no curve is.
const levelBox = ({ width, height }) => ({ left: 50, right: width - 120, top: 8, bottom: height - 40 });

function nameLevels(ctx, box, levels) {
  const drawn = levels.map((level) => ({ ...level, y: Math.max(level.y, box.top) })).sort((p, q) => p.y - q.y);
  labelHeights(drawn.map(({ y }) => y), box).forEach((y, k) => {
    const { words, color, bold } = drawn[k];
    line(ctx, [[box.right + 2, drawn[k].y], [box.right + 12, y]], color, 1);
    text(ctx, words, box.right + 15, y, { color, align: "left", bold });
  });
}

// The best without a step, dotted, and its name.
function noStepLevel(ctx, box, py, view) {
  const y = py(view.noStep);
  line(ctx, [[box.left, y], [box.right, y]], theme.ink, 1.3, [1.5, 4]);
  return { words: `no step ${view.scaled(view.noStep)}`, y, color: theme.ink };
}

const OVER = [9, 7]; // dashes of a line that lies on another, so that both are seen

// Whether the slider of updates stands before the end: then where it stands is marked.
const underWay = ({ updates, deepCurve }) => updates < deepCurve.length - 1;

function drawTraining(canvas, view) {
  const { ctx, width, height } = begin(canvas);
  const box = levelBox({ width, height });
  const { px, py } = axes(ctx, box, { x: [0, view.deepCurve.length - 1], xTicks: [0, 500, 1000], xLabel: "meta-training updates", ...lossAxis(view.top) });
  shadeFloor(ctx, box, py(view.floor));
  const levels = [noStepLevel(ctx, box, py, view)];
  const at = view.updates;
  const near = Math.abs(py(view.shallowCurve[at]) - py(view.deepCurve[at])) < 4;
  clipped(ctx, box, () => {
    for (const [curve, color, thick, dash] of [[view.shallowCurve, theme.shallow, 2.2, []], [view.deepCurve, theme.deep, 2.8, near ? OVER : []]]) {
      line(ctx, curve.slice(0, at + 1).map((v, n) => [px(n), py(v)]), color, thick, dash);
      if (underWay(view)) dot(ctx, [px(at), py(curve[at])], 5, theme.page, color);
    }
  });
  levels.push({ words: `shallow ${view.scaled(view.shallowCurve[at])}`, y: py(view.shallowCurve[at]), color: theme.shallow, bold: true });
  levels.push({ words: `deep ${view.scaled(view.deepCurve[at])}`, y: py(view.deepCurve[at]), color: theme.deep, bold: true });
  nameLevels(ctx, box, levels);
}

const WIDE = 2.2; // of the shallow weights shown, on each side of the mean

function drawShallow(canvas, view) {
  const { ctx, width, height } = begin(canvas);
  const xTicks = [-2, -1, 0, 1, 2, 3, 4].filter((w) => Math.abs(w - view.mean) < WIDE);
  const box = levelBox({ width, height });
  const { px, py } = axes(ctx, box, { x: [view.mean - WIDE, view.mean + WIDE], xTicks, xLabel: "start w", ...lossAxis(view.top) });
  const floorY = py(view.floor);
  shadeFloor(ctx, box, floorY);
  const levels = [noStepLevel(ctx, box, py, view), { words: `floor ${view.scaled(view.floor)}`, y: floorY, color: theme.shallow, bold: true }];
  const w = shallowStart(view);
  clipped(ctx, box, () => line(ctx, view.shallowLosses.map(([v, loss]) => [px(v), py(loss)]), theme.shallow, 2.2));
  if (!view.solo) {
    const y = py(view.deepBest);
    line(ctx, [[box.left, y], [box.right, y]], theme.deep, 2.8, Math.abs(y - floorY) < 4 ? OVER : []);
    levels.push({ words: `deep ${view.scaled(view.deepBest)}`, y, color: theme.deep, bold: true });
  }
  const y = Math.max(py(view.shallowAt(w)), box.top + 7); // above the picture: at its edge, with its loss
  if (y > py(view.shallowAt(w))) text(ctx, `↑ ${show(view.shallowAt(w))}`, px(w) + (w > view.mean ? 4 : -4), y + 17, { color: theme.shallow, halo: true });
  clipped(ctx, box, () => dot(ctx, [px(w), y], 6, theme.page, theme.shallow));
  nameLevels(ctx, box, levels);
}
