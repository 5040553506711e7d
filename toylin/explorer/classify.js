// A binary task: two clouds, and a classifier's boundary before and after each inner step.
// Classes x | y ~ N(y m, I), y = 1 or -1 equally likely, two inputs; the logit is f(x) = w_L ... w_2 (u . x),
// the loss log(1 + exp(-y f(x))).

const TALL = 3.4; // of the inputs shown, from the middle up
const APART = 1.6; // the length of m
const FIRST_SLOPE = 0.5; // both models start as f(x) = 0.5 x_1
const CLOUD = 70; // points drawn of each class

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const along = (a, b) => a[0] * b[0] + a[1] * b[1];

// E h(z), z ~ N(mean, std^2), by the trapezoidal rule. The poles of h lie at a distance of pi from
// the real line, so that the error falls like exp(-2 pi^2 / (std step)).
function gaussianMean(h, mean, std) {
  const step = Math.max(1e-3, Math.min(0.25, 0.5 / std));
  const last = Math.ceil(9 / step);
  let total = 0;
  for (let k = -last; k <= last; k++) total += Math.exp(-((k * step) ** 2) / 2) * h(mean + std * k * step);
  return (total * step) / Math.sqrt(2 * Math.PI);
}

// The gradient of the inner loss in the end-to-end weights: over points [x_1, x_2, y], or over the
// population (null) of the class mean m.
function classifierGradient(w, points, m) {
  if (points) {
    const gradient = [0, 0];
    for (const [a, b, y] of points) {
      const pull = (-y * sigmoid(-y * along(w, [a, b]))) / points.length;
      gradient[0] += pull * a;
      gradient[1] += pull * b;
    }
    return gradient;
  }
  const [mean, std] = [along(w, m), Math.hypot(...w)];
  const A = gaussianMean((z) => sigmoid(-z), mean, std);
  const B = gaussianMean((z) => sigmoid(z) * sigmoid(-z), mean, std);
  return m.map((x, i) => B * w[i] - A * x);
}

// The end-to-end weights before the inner steps and after each, of lower weights u (two) and upper
// ones (any number).
function adaptedClassifiers({ u, upper }, points, m, stepSize, steps) {
  let [lower, above] = [u, upper];
  const c = new Array(upper.length);
  let product = others(above, c);
  const found = [lower.map((x) => product * x)];
  for (let n = 0; n < steps; n++) {
    const gradient = classifierGradient(found[n], points, m);
    const inUpper = along(lower, gradient);
    lower = lower.map((x, i) => x - stepSize * product * gradient[i]);
    above = above.map((x, i) => x - stepSize * c[i] * inUpper);
    product = others(above, c);
    found.push(lower.map((x) => product * x));
  }
  return found;
}

// The expected loss on a fresh point of the task, and the share of points on the right side.
function classifierScore(w, m) {
  const [mean, std] = [along(w, m), Math.hypot(...w)];
  return { loss: gaussianMean((z) => softplus(-z), mean, std), right: std > 0 ? below(mean / std) : 0.5 };
}

// The standard normal distribution function, by Simpson's rule.
function below(x) {
  const n = 400;
  const end = Math.max(Math.min(x, 9), -9);
  let total = 0;
  for (let k = 0; k <= n; k++) {
    total += (k === 0 || k === n ? 1 : k % 2 ? 4 : 2) * Math.exp(-(((end * k) / n) ** 2) / 2);
  }
  return 0.5 + (total * end) / (3 * n) / Math.sqrt(2 * Math.PI);
}

// From u = 0 one step on the population makes w = (step size) (upper weights)^2 m / 2, and the best
// classifier of every task is w = 2 m.
const bestUpper = (depth, stepSize) => (4 / stepSize) ** (1 / (2 * (depth - 1)));

// Points of both classes: turning m moves the same points.
function cloudPoints(seed, number, m) {
  const next = uniform(seed);
  return Array.from({ length: number }, () => {
    const y = next() < 0.5 ? -1 : 1;
    return [y * m[0] + normal(next), y * m[1] + normal(next), y];
  });
}

function classSettings() {
  const value = (id) => Number(find(id).value);
  return { turn: value("turn"), share: value("upper") / 100, moves: value("moves"), seed };
}

function classView({ depth, stepSize, shots }, { turn, share, moves, seed }) {
  const angle = (turn * Math.PI) / 180;
  const m = [APART * Math.cos(angle), APART * Math.sin(angle)];
  const points = shots === null ? null : cloudPoints(seed, shots, m);
  const weight = share * bestUpper(depth, stepSize);
  const upper = new Array(depth - 1).fill(weight);
  const fit = (layers) => {
    const weights = adaptedClassifiers(layers, points, m, stepSize, moves);
    return { weights, scores: weights.map((w) => classifierScore(w, m)) };
  };
  return {
    m, points, weight,
    cloud: cloudPoints(12345, 2 * CLOUD, m),
    shallow: fit({ u: [FIRST_SLOPE, 0], upper: [] }),
    deep: fit({ u: [FIRST_SLOPE / weight ** (depth - 1), 0], upper }),
  };
}

function classWords({ scores }) {
  const last = scores.length - 1;
  const from = (say) => (last ? `${say(scores[0])} → ${say(scores[last])}` : say(scores[0]));
  return `loss ${from(({ loss }) => show(loss))}, right ${from(({ right }) => `${(100 * right).toFixed(0)} %`)}`;
}

const mixed = (from, to, share) => from.map((c, i) => Math.round(c + share * (to[i] - c)));

// How sure the classifier is, from the page's own colour (not at all) to a class's.
function shadeClasses(ctx, w, { wide, px, py }) {
  const [page, plus, minusOne] = ["page", "third", "second"].map((name) => rgb(theme[name].replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3").slice(1)));
  const image = new ImageData(64, 48);
  for (let j = 0; j < 48; j++) {
    for (let i = 0; i < 64; i++) {
      const sure = 2 * sigmoid(along(w, [wide * ((2 * i + 1) / 64 - 1), TALL * (1 - (2 * j + 1) / 48)])) - 1;
      image.data.set([...mixed(page, sure > 0 ? plus : minusOne, 0.5 * Math.abs(sure)), 255], 4 * (64 * j + i));
    }
  }
  const small = document.createElement("canvas");
  [small.width, small.height] = [64, 48];
  small.getContext("2d").putImageData(image, 0, 0);
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(small, px(-wide), py(TALL), px(wide) - px(-wide), py(-TALL) - py(TALL));
}

function drawClasses(canvas, { m, points, cloud }, { weights, scores }, color) {
  const { ctx, width, height } = begin(canvas);
  const box = { left: 36, right: width - 8, top: 24, bottom: height - 38 };
  const wide = (TALL * (box.right - box.left)) / Math.max(box.bottom - box.top, 1); // one scale for both inputs
  const place = { x: [-wide, wide], y: [-TALL, TALL], xTicks: [-2, 0, 2], yTicks: [-2, 0, 2], xLabel: "x₁", yLabel: "x₂" };
  const at = axes(ctx, box, place);
  clipped(ctx, box, () => {
    shadeClasses(ctx, weights.at(-1), { ...at, wide });
    ctx.globalAlpha = points ? 0.4 : 0.8;
    for (const [a, b, y] of cloud) classMark(ctx, [at.px(a), at.py(b)], 2.2, y);
    ctx.globalAlpha = 1;
    for (const [a, b, y] of points ?? []) classMark(ctx, [at.px(a), at.py(b)], 5, y);
    weights.forEach((w, n) => {
      const length = Math.hypot(...w) / (2 * wide);
      if (!(length > 0)) return;
      const end = [-w[1] / length, w[0] / length];
      const last = n === weights.length - 1;
      line(ctx, [1, -1].map((s) => [at.px(s * end[0]), at.py(s * end[1])]), color, last ? 3 : 1.2, n === 0 ? [2, 5] : []);
    });
    for (const s of [1, -1]) text(ctx, s > 0 ? "+1" : "−1", at.px(s * m[0]), at.py(s * m[1]), { bold: true, halo: true });
  });
  text(ctx, classWords({ scores }), (box.left + box.right) / 2, 11, { color, bold: true });
  const turns = weights.map((w) => `${((Math.atan2(w[1], w[0]) * 180) / Math.PI).toFixed(0)}°`);
  canvas.setAttribute("aria-label", `Two classes and a classifier: ${classWords({ scores })}; it points to ${turns.join(", ")}.`);
}

// Dots for the class +1, rings for −1.
function classMark(ctx, at, radius, y) {
  if (y > 0) dot(ctx, at, radius, theme.third, radius > 3 ? theme.page : undefined);
  else dot(ctx, at, radius, theme.page, theme.second);
}

function writeClasses(depth, { turn, moves, share }, { weight, points }) {
  label("turn", `${minus(turn)}°`);
  label("moves", `${moves}`);
  label("upper", `${weight.toFixed(2)}, ${(100 * share).toFixed(0)} %`);
  find("upper-weights").textContent = depth === 2 ? "w₂" : `u = ${layers(2, depth).join(" = ")}`;
  find("redraw-classes").disabled = points === null;
}
