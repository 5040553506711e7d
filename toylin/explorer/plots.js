// Drawing on flat canvases: colours, axes, the map and the two small plots.

const TOP = 1.4; // of the loss scale
const EXTENT = { 2: 3.8, 3: 2.4, 4: 2 }; // of the weights shown, by depth
const SIDE = 97; // grid points a side
const [DEEP, SHALLOW, GRAY, PALE] = ["#c1121f", "#000000", "#565d63", "#d5d9dd"];
const FONT = '"DejaVu Sans", system-ui, sans-serif';
const BLUES = ["f7fbff", "deebf7", "c6dbef", "9ecae1", "6baed6", "4292c6", "2171b5", "08519c", "08306b"]
  .map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

function blue(loss) {
  const at = Math.min(Math.max(loss / TOP, 0), 1) * (BLUES.length - 1);
  const low = Math.min(Math.floor(at), BLUES.length - 2);
  return BLUES[low].map((c, i) => Math.round(c + (at - low) * (BLUES[low + 1][i] - c)));
}

const gridWeight = (i, extent) => extent * ((2 * i) / (SIDE - 1) - 1);
const wholeTicks = (extent) => [-3, -2, -1, 0, 1, 2, 3].filter((v) => Math.abs(v) <= extent);
const minus = (number) => `${number}`.replace("-", "−");

// Canvas context in CSS pixels, cleared, at the screen's resolution.
function begin(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.lineJoin = ctx.lineCap = "round";
  return { ctx, width, height };
}

function text(ctx, words, x, y, { size = 12.5, color = "#1a1a1a", align = "center", base = "middle", bold = false, halo = false, turn = 0 } = {}) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(turn);
  ctx.font = `${bold ? "bold " : ""}${size}px ${FONT}`;
  ctx.textAlign = align;
  ctx.textBaseline = base;
  if (halo) {
    ctx.strokeStyle = "rgba(255, 255, 255, 0.9)";
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
  ctx.fillStyle = "#fff";
  ctx.fill();
  ctx.strokeStyle = "#000";
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
  line(ctx, [[box.left, box.top], [box.left, box.bottom], [box.right, box.bottom]], "#000", 1);
  for (const v of xTicks) {
    line(ctx, [[px(v), box.bottom], [px(v), box.bottom + 4]], "#000", 1);
    text(ctx, minus(v), px(v), box.bottom + 13);
  }
  for (const v of yTicks) {
    line(ctx, [[box.left - 4, py(v)], [box.left, py(v)]], "#000", 1);
    text(ctx, minus(v), box.left - 7, py(v), { align: "right" });
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
      image.data.set([...blue(view.grid[i * SIDE + j]), 255], 4 * ((SIDE - 1 - j) * SIDE + i));
    }
  }
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  small.getContext("2d").putImageData(image, 0, 0);
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(small, 0.5, 0.5, SIDE - 1, SIDE - 1, box.left, box.top, box.right - box.left, box.bottom - box.top);
  const range = [-view.extent, view.extent];
  const ticks = wholeTicks(view.extent);
  const { px, py } = axes(ctx, box, { x: range, y: range, xTicks: ticks, yTicks: ticks, xLabel: "lower weight w₁", yLabel: view.upperLabel });
  const at = ([a, b]) => [px(a), py(b)];

  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  ctx.clip();
  for (let level = 0.2; level < TOP; level += 0.2) {
    for (const segment of contour(view.grid, level, view.extent)) line(ctx, segment.map(at), "rgba(8, 48, 107, 0.22)", 0.8);
  }
  for (const segment of view.floorLine) line(ctx, segment.map(at), SHALLOW, 2.4);
  for (const run of view.runs) {
    line(ctx, run.map(at), DEEP, 1.3);
    dot(ctx, at(run[0]), 2.8, DEEP);
  }
  line(ctx, view.chosen.map(at), "#fff", 6);
  line(ctx, view.chosen.map(at), DEEP, 3.4);
  for (const point of view.best) star(ctx, at(point), 11);
  dot(ctx, at(view.chosen[0]), 6, DEEP, "#fff");
  ctx.restore();
}

const LOSS_AXIS = { y: [0, TOP], yTicks: [0, 0.4, 0.8, 1.2], yLabel: "loss after adaptation" };

// The band that no shallow start reaches, and its edge if that is on the scale.
function shadeFloor(ctx, box, py, floor) {
  const edge = Math.max(py(floor), box.top);
  ctx.fillStyle = "#eceef0";
  ctx.fillRect(box.left, edge, box.right - box.left, box.bottom - edge);
  if (floor <= TOP) line(ctx, [[box.left, edge], [box.right, edge]], GRAY, 1.3, [5, 4]);
}

function clipped(ctx, box, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top + 2);
  ctx.clip();
  draw();
  ctx.restore();
}

function drawTraining(canvas, view) {
  const { ctx, width, height } = begin(canvas);
  const box = { left: 44, right: width - 18, top: 8, bottom: height - 40 };
  const last = view.deepCurve.length - 1;
  const { px, py } = axes(ctx, box, { x: [0, last], xTicks: [0, 250, 500, 750, 1000], xLabel: "meta-training updates", ...LOSS_AXIS });
  shadeFloor(ctx, box, py, view.floor);
  clipped(ctx, box, () => {
    line(ctx, view.shallowCurve.map((v, n) => [px(n), py(v)]), SHALLOW, 2.2);
    line(ctx, view.deepCurve.map((v, n) => [px(n), py(v)]), DEEP, 2.8);
  });
  const ends = [
    { name: "deep", loss: view.deepCurve[last], color: DEEP },
    { name: "shallow", loss: view.shallowCurve[last], color: SHALLOW },
  ].sort((p, q) => q.loss - p.loss);
  const [high, low] = ends.map((end) => Math.max(py(end.loss), box.top));
  ends[0].y = Math.max(high - 11, box.top + 8);
  if (low - high >= 34) ends[1].y = low - 11;
  else if (box.bottom - low > 22) ends[1].y = Math.max(low + 12, ends[0].y + 16);
  else ends[1].y = ends[0].y - 16;
  for (const { name, loss, color, y } of ends) {
    text(ctx, `${name} ${view.scaled(loss)}`, box.right - 4, y, { color, align: "right", bold: true, halo: true });
  }
}

function drawShallow(canvas, view) {
  const { ctx, width, height } = begin(canvas);
  const box = { left: 44, right: width - 18, top: 8, bottom: height - 40 };
  const { px, py } = axes(ctx, box, { x: [-2.2, 2.2], xTicks: [-2, -1, 0, 1, 2], xLabel: "weight w", ...LOSS_AXIS });
  shadeFloor(ctx, box, py, view.floor);
  clipped(ctx, box, () => line(ctx, view.shallowLosses.map(([w, v]) => [px(w), py(v)]), SHALLOW, 2.2));
  const deepY = py(view.deepBest);
  line(ctx, [[box.left, deepY], [box.right, deepY]], DEEP, 2.8);
  const roof = Math.max(py(view.floor), box.top);
  const deepLabel = `deep reaches ${view.scaled(view.deepBest)}`;
  const floorLabel = `no start below ${view.scaled(view.floor)}`;
  const red = { color: DEEP, bold: true, halo: true };
  if (deepY - roof > 40) {
    text(ctx, floorLabel, px(0), roof + 12);
    text(ctx, deepLabel, px(0), deepY - 12, red);
    return;
  }
  // Between the arms of the parabola, where it is wider than the words.
  const arms = view.shallowLosses.find(([w]) => w > 1.1)[1];
  const y = Math.max(py(arms) - 6, box.top + 26);
  text(ctx, floorLabel, px(0), y, { halo: true });
  text(ctx, deepLabel, px(0), box.bottom - deepY > 20 ? deepY + 11 : y - 18, red);
}
