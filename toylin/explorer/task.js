// One task: its points, and the fitted line before and after each inner step.

const FRAME = { x: [-2.6, 2.6], y: [-4, 4] };

// Numbers in [0, 1) that follow from the seed (mulberry32).
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function normal(next) {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

// The support of a task: points, or null for the population. Turning the slope or the noise moves
// the same points.
function supportPoints(seed, { shots, noiseStd }, theta) {
  if (shots === null) return null;
  const next = uniform(seed);
  return Array.from({ length: shots }, () => {
    const x = normal(next);
    return [x, theta * x + noiseStd * normal(next)];
  });
}

function supportMoments(points, theta) {
  if (!points) return { S: 1, t: theta };
  const xx = points.reduce((s, [x]) => s + x * x, 0);
  const xy = points.reduce((s, [x, y]) => s + x * y, 0);
  return { S: xx / points.length, t: xy / xx };
}

// The slope of the line before the inner steps and after each.
function adaptedSlopes(weights, { S, t }, stepSize, steps) {
  const c = new Array(weights.length);
  let w = weights;
  let product = others(w, c);
  const slopes = [product];
  for (let n = 0; n < steps; n++) {
    const move = stepSize * S * (product - t);
    w = w.map((x, i) => x - move * c[i]);
    product = others(w, c);
    slopes.push(product);
  }
  return slopes;
}

// The expected loss of a line on a fresh point of the task.
const taskLoss = (slope, theta, noiseStd) => ((slope - theta) ** 2 + noiseStd ** 2) / 2;

function taskView(view, settings, { theta, steps, updates, seed }) {
  const points = supportPoints(seed, settings, theta);
  const moments = supportMoments(points, theta);
  const fit = (weights) => {
    const slopes = adaptedSlopes(weights[updates], moments, settings.stepSize, steps);
    return { slopes, losses: slopes.map((slope) => taskLoss(slope, theta, settings.noiseStd)) };
  };
  return { theta, points, shallow: fit(view.shallowWeights), deep: fit(view.deepWeights) };
}

function taskWords({ losses }) {
  const last = losses.length - 1;
  const steps = last === 1 ? "1 step" : `${last} steps`;
  return last ? `loss ${show(losses[0])} → ${show(losses[last])} in ${steps}` : `loss ${show(losses[0])}, before any step`;
}

function drawTask(canvas, { theta, points }, fit, color) {
  const { ctx, width, height } = begin(canvas);
  const box = { left: 36, right: width - 8, top: 24, bottom: height - 38 };
  const { px, py } = axes(ctx, box, { ...FRAME, xTicks: [-2, -1, 0, 1, 2], yTicks: [-4, -2, 0, 2, 4], xLabel: "x", yLabel: "y" });
  const through = (slope) => FRAME.x.map((x) => [px(x), py(slope * x)]);
  clipped(ctx, box, () => {
    line(ctx, through(theta), theme.line, 7);
    for (const [x, y] of points ?? []) dot(ctx, [px(x), py(y)], 3, theme.muted);
    fit.slopes.forEach((slope, n) => {
      const last = n === fit.slopes.length - 1;
      line(ctx, through(slope), color, last ? 2.8 : 1.2, n === 0 ? [2, 5] : []);
    });
  });
  text(ctx, taskWords(fit), (box.left + box.right) / 2, 11, { color, bold: true });
  canvas.setAttribute("aria-label", `A task of slope ${minus(theta.toFixed(1))}: ${taskWords(fit)}; fitted slopes ${fit.slopes.map((s) => s.toFixed(2)).join(", ")}.`);
}
