// One start, seen from every task and by every rule: where each would move it.

const PULLS = [-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2]; // slopes of the tasks drawn
const RULES = [
  ["MAML", "deep", 5, []],
  ["FOMAML", "second", 2.6, []],
  ["Reptile", "third", 2.6, [7, 5]],
  ["ANIL", "fourth", 2.6, []],
  ["Meta-SGD", "ink", 1.4, [2, 5]],
];

// The mean updates of the weights by each rule, for an outer step of 1. Meta-SGD begins as MAML;
// `stepSizes` is how it moves its step sizes besides.
function ruleUpdates(w, nodes, stepSize) {
  const zero = () => new Array(w.length).fill(0);
  const [first, way, sizes, c, v] = [zero(), zero(), zero(), zero(), zero()];
  const product = others(w, c);
  for (let k = 0; k < nodes.S.length; k++) {
    const g = nodes.S[k] * (product - nodes.t[k]);
    const adapted = w.map((x, i) => x - stepSize * g * c[i]);
    const slope = nodes.weight[k] * nodes.spread * (others(adapted, v) - nodes.q[k]);
    for (let i = 0; i < w.length; i++) {
      first[i] -= slope * v[i];
      way[i] -= nodes.weight[k] * stepSize * g * c[i];
      sizes[i] += slope * v[i] * g * c[i];
    }
  }
  const head = w.map((_, i) => (i === w.length - 1 ? 1 : 0));
  const minusAll = (gradient) => gradient.map((x) => -x);
  const maml = minusAll(expectedGradient(w, nodes, stepSize));
  const anil = minusAll(expectedGradient(w, nodes, stepSize, head));
  return { MAML: maml, FOMAML: first, Reptile: way, ANIL: anil, "Meta-SGD": maml, stepSizes: sizes };
}

// How a task's own loss pulls at the weights: minus the gradient over its support.
function taskPull(w, { S, t }) {
  const c = new Array(w.length);
  const g = S * (others(w, c) - t);
  return c.map((x) => -g * x);
}

// In degrees; null where one of the two is nothing.
function angleBetween(a, b) {
  const length = Math.hypot(...a) * Math.hypot(...b);
  if (!(length > 1e-18)) return null;
  const dot = a.reduce((s, x, i) => s + x * b[i], 0);
  return (Math.acos(Math.min(Math.max(dot / length, -1), 1)) * 180) / Math.PI;
}

// On the plane of the map: the lower weight, and the mean of the upper ones.
const onPlane = ([lower, ...upper]) => [lower, upper.reduce((s, x) => s + x, 0) / upper.length];

function arrowsView(view, settings, seed) {
  const w = planeWeights(view.depth, ...shownStart(view));
  const pulls = PULLS.map((theta) => taskPull(w, supportMoments(supportPoints(seed, settings, theta), theta)));
  return { pulls, updates: ruleUpdates(w, taskNodes(view.depth, settings), settings.stepSize) };
}

function arrow(ctx, [x, y], [dx, dy], color, width, dash = []) {
  const length = Math.hypot(dx, dy);
  if (length < 2) return;
  const head = Math.min(6 + width, length);
  const [ux, uy] = [dx / length, dy / length];
  const neck = [x + (length - head) * ux, y + (length - head) * uy];
  line(ctx, [[x, y], neck], color, width, dash);
  ctx.beginPath();
  ctx.moveTo(x + dx, y + dy);
  for (const side of [-1, 1]) ctx.lineTo(neck[0] - side * 0.5 * head * uy, neck[1] + side * 0.5 * head * ux);
  ctx.closePath();
  ctx.fillStyle = color;
  ctx.fill();
}

function drawArrows(canvas, view, { pulls, updates }) {
  const { ctx, width, height } = begin(canvas);
  const [x, y] = [width / 2, height / 2];
  const reach = Math.min(width, height) / 2 - 12;
  line(ctx, [[16, y], [width - 16, y]], theme.line, 1);
  line(ctx, [[x, 8], [x, height - 8]], theme.line, 1);
  text(ctx, "w₁ →", width - 4, y + 14, { align: "right", halo: true });
  text(ctx, `${view.upperShort} ↑`, x + 8, 14, { align: "left", halo: true });
  const flat = pulls.map(onPlane);
  const longest = Math.max(...flat.map((pull) => Math.hypot(...pull)), 1e-12);
  for (const [a, b] of flat) arrow(ctx, [x, y], [(0.75 * reach * a) / longest, (-0.75 * reach * b) / longest], theme.muted, 1);
  for (const [name, color, thick, dash] of RULES) {
    const [a, b] = onPlane(updates[name]);
    const length = Math.hypot(a, b);
    if (length > 1e-9) arrow(ctx, [x, y], [(reach * a) / length, (-reach * b) / length], theme[color], thick, dash);
  }
  dot(ctx, [x, y], 5, theme.deep, theme.page);
}

const signed = (x) => minus(Math.abs(x) < 5e-4 ? "0.000" : x.toFixed(3));

function writeArrows(view, { updates }) {
  find("upper-name").textContent = view.upperShort;
  for (const [name] of RULES) {
    const [lower, upper] = onPlane(updates[name]);
    const angle = angleBetween(updates[name], updates.MAML);
    const cells = [signed(lower), signed(upper), angle === null ? "–" : `${angle.toFixed(0)}°`];
    cells.forEach((words, i) => (find(`rule-${name}`).cells[i + 1].textContent = words));
  }
  const sizes = updates.stepSizes.map((x, i) => `${signed(x)} for w${digits(i + 1)}`).join(", ");
  find("sizes").textContent = `Meta-SGD begins as MAML, so their arrows agree; it moves its step sizes, too: by ${sizes}.`;
  const words = RULES.map(([name]) => `${name} ${onPlane(updates[name]).map(signed).join(", ")}`).join("; ");
  find("arrows").setAttribute("aria-label", `Updates of the lower and the upper weight at the bold start: ${words}.`);
}
