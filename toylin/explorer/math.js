// The mathematics: the exact expected loss after one inner step, and gradient descent on it.
// Scalar linear regression, f(x) = w_L ... w_1 x. TABLES holds Gauss nodes from toylin.quadrature.

// Tasks as weighted nodes: S is the support's second moment, t its least-squares estimate, q the
// mean of theta given both, extra what the query's loss has beyond x_std^2 (p - q)^2.
function taskNodes(depth, { shots, noiseStd, thetaMean = 0, thetaStd = 1, xStd = 1 }) {
  const normal = TABLES.normal[depth + 1];
  if (!normal) throw new Error(`depth must be 1 to ${TABLES.maxDepth}, got ${depth}`);
  const [noise, prior, spread] = [noiseStd ** 2, thetaStd ** 2, xStd ** 2];
  const nodes = { S: [], t: [], q: [], extra: [], weight: [], spread };
  const add = (S, t, q, extra, weight) => {
    nodes.S.push(S);
    nodes.t.push(t);
    nodes.q.push(q);
    nodes.extra.push(extra);
    nodes.weight.push(weight);
  };
  if (shots === null) {
    normal.x.forEach((z, i) => {
      const theta = thetaMean + thetaStd * z;
      add(spread, theta, theta, noise, normal.weight[i]);
    });
    return nodes;
  }
  if (!TABLES.gamma[shots]) {
    throw new Error(`shots must be null or one of ${TABLES.shots}, got ${shots}`);
  }
  const gamma = TABLES.gamma[shots][depth + 1];
  gamma.x.forEach((g, k) => {
    const S = ((2 * spread) / shots) * g;
    const error = noise / (shots * S);
    const std = Math.sqrt(prior + error);
    const extra = noise + (spread * prior * error) / (prior + error);
    normal.x.forEach((z, i) => {
      const weight = gamma.weight[k] * normal.weight[i];
      add(S, thetaMean + std * z, thetaMean + (prior / std) * z, extra, weight);
    });
  });
  return nodes;
}

// c_i = the product of all weights but w_i, without division; returns the product of all.
function others(w, c) {
  let before = 1;
  for (let i = 0; i < w.length; i++) {
    c[i] = before;
    before *= w[i];
  }
  let after = 1;
  for (let i = w.length - 1; i >= 0; i--) {
    c[i] *= after;
    after *= w[i];
  }
  return before;
}

function expectedLoss(w, nodes, stepSize) {
  const c = new Array(w.length);
  const product = others(w, c);
  let total = 0;
  for (let k = 0; k < nodes.S.length; k++) {
    const move = stepSize * nodes.S[k] * (product - nodes.t[k]);
    let adapted = 1;
    for (let i = 0; i < w.length; i++) adapted *= w[i] - move * c[i];
    total += nodes.weight[k] * (nodes.spread * (adapted - nodes.q[k]) ** 2 + nodes.extra[k]);
  }
  return total / 2;
}

// The gradient: at each node (I - stepSize H A) v, with v that of the query's loss at the adapted
// weights, H_ij = S c_i c_j + g c_ij, g = S (product - t), and A the weights that adapt (0 or 1).
function expectedGradient(w, nodes, stepSize, adapts = w.map(() => 1)) {
  const depth = w.length;
  const c = new Array(depth);
  const product = others(w, c);
  const between = w.map((_, i) =>
    w.map((_, j) => (i === j ? 0 : w.reduce((p, x, k) => (k === i || k === j ? p : p * x), 1))),
  );
  const [adapted, v] = [new Array(depth), new Array(depth)];
  const gradient = new Array(depth).fill(0);
  for (let k = 0; k < nodes.S.length; k++) {
    const g = nodes.S[k] * (product - nodes.t[k]);
    for (let i = 0; i < depth; i++) adapted[i] = w[i] - stepSize * g * c[i] * adapts[i];
    const slope = nodes.spread * (others(adapted, v) - nodes.q[k]);
    let along = 0;
    for (let i = 0; i < depth; i++) along += c[i] * adapts[i] * v[i];
    for (let i = 0; i < depth; i++) {
      let cross = 0;
      for (let j = 0; j < depth; j++) cross += between[i][j] * adapts[j] * v[j];
      const back = v[i] - stepSize * (nodes.S[k] * along * c[i] + g * cross);
      gradient[i] += nodes.weight[k] * slope * back;
    }
  }
  return gradient;
}

// Gradient descent on the expected loss, the gradient clipped to length `clip`. An update that
// would raise the loss is not made and halves the rate, which then grows back.
function metaTrain(start, nodes, stepSize, { rate, clip, updates }) {
  let [w, loss, now] = [start, expectedLoss(start, nodes, stepSize), rate];
  const run = { weights: [w], loss: [loss] };
  for (let n = 0; n < updates; n++) {
    const gradient = expectedGradient(w, nodes, stepSize);
    const move = now * Math.min(1, clip / Math.hypot(...gradient));
    const next = w.map((x, i) => x - move * gradient[i]);
    const nextLoss = expectedLoss(next, nodes, stepSize);
    if (nextLoss <= loss) [w, loss, now] = [next, nextLoss, Math.min(1.2 * now, rate)];
    else now /= 2;
    run.weights.push(w);
    run.loss.push(loss);
  }
  return run;
}

// From near a minimum on the plane of equal upper weights to it; the gradient's slopes by differences.
function newton(point, depth, nodes, stepSize) {
  const slope = (x, y) => {
    const [lower, ...upper] = expectedGradient(planeWeights(depth, x, y), nodes, stepSize);
    return [lower, upper.reduce((s, g) => s + g, 0)];
  };
  let [x, y] = point;
  for (let n = 0; n < 8; n++) {
    const h = 1e-4;
    const [right, left, up, down] = [slope(x + h, y), slope(x - h, y), slope(x, y + h), slope(x, y - h)];
    const [a, b, d] = [right[0] - left[0], up[0] - down[0], up[1] - down[1]].map((v) => v / (2 * h));
    const [p, q] = slope(x, y);
    const det = a * d - b * b;
    if (!(det > 0 && a > 0)) return point; // no minimum is near
    x -= (d * p - b * q) / det;
    y -= (a * q - b * p) / det;
  }
  return [x, y];
}

const SEARCH = 61; // points across the plane

// The lowest point of the plane where the upper weight is positive: from the four lowest
// hollows of a grid, downhill by steps that halve, then by Newton. It reaches past the
// best start without a mean and past the mean itself.
function searchPlane(depth, stepSize, nodes, mean) {
  const reach = 2.2 * Math.max(stepSize ** (-0.5 / (depth - 1)), Math.abs(mean) ** (1 / depth));
  const gap = (2 * reach) / (SEARCH - 1);
  const loss = (x, y) => expectedLoss(planeWeights(depth, x, y), nodes, stepSize);
  const around = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [1, -1], [-1, 1]];
  const grid = Array.from({ length: SEARCH }, (_, i) => Array.from({ length: SEARCH }, (_, j) => loss(i * gap - reach, j * gap - reach)));
  const hollows = [];
  for (let i = 1; i < SEARCH - 1; i++) {
    for (let j = (SEARCH - 1) / 2; j < SEARCH - 1; j++) {
      if (around.every(([a, b]) => grid[i + a][j + b] >= grid[i][j])) hollows.push([grid[i][j], i * gap - reach, j * gap - reach]);
    }
  }
  let lowest = { loss: Infinity };
  for (let [now, x, y] of hollows.sort((p, q) => p[0] - q[0]).slice(0, 4)) {
    for (let step = gap / 2, n = 0; step > 1e-4 * gap && n < 200; n++) {
      const way = around.find(([a, b]) => loss(x + a * step, y + b * step) < now);
      if (!way) step /= 2;
      else [x, y] = [x + way[0] * step, y + way[1] * step];
      now = loss(x, y);
    }
    for (const at of [[x, y], newton([x, y], depth, nodes, stepSize)]) {
      if (loss(...at) < lowest.loss) lowest = { at, loss: loss(...at) };
    }
  }
  return lowest.at;
}

// With one weight zero the adapted product is a (S theta + n), a = stepSize * (the others)^2, and
// the best a follows from the moments of S and n. These are the best starts for theta_mean = 0 and
// for populations; with the upper weights equal, those where the zero is the lower weight (either,
// at depth 2). Few shots of tasks with a mean pull them off zero: there a search finds the lowest on
// the plane. The others are its mirror images.
function bestStarts(depth, stepSize, { shots, noiseStd, thetaMean = 0, thetaStd = 1, xStd = 1 }) {
  let [lower, upper] = [0, 0];
  if (thetaMean === 0 || shots === null) {
    const perShot = shots === null ? 0 : 1 / shots;
    const a = 1 / (xStd ** 2 * (1 + 2 * perShot) + (perShot * noiseStd ** 2) / (thetaMean ** 2 + thetaStd ** 2));
    upper = (a / stepSize) ** (1 / (2 * (depth - 1)));
  } else {
    const nodes = taskNodes(depth, { shots, noiseStd, thetaMean, thetaStd, xStd });
    [lower, upper] = searchPlane(depth, stepSize, nodes, thetaMean);
    if (depth === 2 && upper < Math.abs(lower)) [lower, upper] = [Math.sign(lower) * upper, Math.abs(lower)];
  }
  const starts = [[lower, upper], [depth % 2 ? lower : -lower, -upper]];
  if (depth === 2 && Math.abs(lower - upper) > 1e-6) starts.push([upper, lower], [-upper, -lower]);
  return starts;
}

// A point of the plane on which all upper weights are equal. Gradient descent never leaves it.
function planeWeights(depth, lower, upper) {
  return [lower, ...new Array(depth - 1).fill(upper)];
}

const outerLoss = ({ weights, stepSize, ...tasks }) =>
  expectedLoss(weights, taskNodes(weights.length, tasks), stepSize);

const outerGrad = ({ weights, stepSize, ...tasks }) =>
  expectedGradient(weights, taskNodes(weights.length, tasks), stepSize);
