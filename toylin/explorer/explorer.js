// The page: what the controls say, what follows from it, and the pictures of that.

const find = (id) => document.getElementById(id);
const SHOTS = [...TABLES.shots, null];
const TRAINING = { rate: 0.05, clip: 1, updates: 1000 };
const RINGS = [0.09, 0.6]; // of the extent
const STARTS = 8; // on each ring
const PIECES = 70; // drawn of each path
const FIRST = [0.8, 1.2];

let camera = { ...HOME };
let start = FIRST;
let seed = 1; // of the task's points
let view;

function settings() {
  const value = (id) => Number(find(id).value);
  return {
    stepSize: TABLES.stepSizes[value("alpha")],
    depth: value("depth"),
    shots: SHOTS[value("shots")],
    noiseStd: value("noise"),
    thetaMean: value("mean"),
  };
}

function taskSettings() {
  const value = (id) => Number(find(id).value);
  return { theta: value("theta"), steps: value("steps"), updates: value("updates"), seed };
}

const show = (loss) => (loss < 100 ? loss.toFixed(3) : loss.toPrecision(3));
const scaled = (loss, top) => (loss > top ? `${show(loss)} ↑` : show(loss));
const digits = (n) => String(n).replace(/\d/g, (d) => "₀₁₂₃₄"[d]);
const layers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `w${digits(from + i)}`);

// Points evenly spaced along a path.
function thin(path) {
  const length = [0];
  for (let n = 1; n < path.length; n++) {
    length.push(length[n - 1] + Math.hypot(path[n][0] - path[n - 1][0], path[n][1] - path[n - 1][1]));
  }
  const kept = [];
  for (let n = 0, k = 0; k <= PIECES; k++) {
    const wanted = (length[path.length - 1] * k) / PIECES;
    while (n < path.length - 1 && length[n] < wanted) n++;
    kept.push(path[n]);
  }
  return kept;
}

// Everything drawn that does not depend on the chosen start.
function problemView({ stepSize, depth, ...tasks }) {
  const lowest = lowestLosses({ stepSize, depth, ...tasks });
  const { best, floor, deepBest } = lowest;
  const extent = weightExtent(depth, Math.max(...best[0].map(Math.abs)), CHAPTERS[chapter]?.fixed);
  const nodes = taskNodes(depth, tasks);
  const shallow = taskNodes(1, tasks);
  const lossAt = ([lower, upper]) => expectedLoss(planeWeights(depth, lower, upper), nodes, stepSize);
  const train = (point) => {
    const run = metaTrain(planeWeights(depth, ...point), nodes, stepSize, TRAINING);
    return { ...run, path: thin(run.weights.map((w) => [w[0], w[1]])) };
  };
  const grid = new Float64Array(SIDE * SIDE);
  for (let i = 0; i < SIDE; i++) {
    for (let j = 0; j < SIDE; j++) grid[i * SIDE + j] = lossAt([gridWeight(i, extent), gridWeight(j, extent)]);
  }
  const runs = RINGS.flatMap((radius) =>
    Array.from({ length: STARTS }, (_, k) => {
      const angle = (2 * Math.PI * (k + 0.35)) / STARTS;
      return train([radius * extent * Math.cos(angle), radius * extent * Math.sin(angle)]).path;
    }),
  );
  const mean = tasks.thetaMean;
  const top = lossTop(Math.max(floor, deepBest));
  const upper = layers(2, depth).join(" = ");
  return {
    ...lowest, depth, mean, stepSize, extent, top, grid, runs, lossAt, train,
    scaled: (loss) => scaled(loss, top),
    shallowAt: (w) => expectedLoss([w], shallow, stepSize),
    floorLine: contour(grid, floor, extent),
    trainShallow: (w) => metaTrain([w], shallow, stepSize, TRAINING),
    shallowLosses: Array.from({ length: 111 }, (_, k) => mean - 2.2 + 0.04 * k).map((w) => [w, expectedLoss([w], shallow, stepSize)]),
    upperLabel: depth === 2 ? "upper weight w₂" : `upper weights u = ${upper}`,
    upperShort: depth === 2 ? upper : "u",
  };
}

// The shallow model's weight when the slider of updates stands where it does.
const shallowStart = ({ shallowWeights, updates }) => shallowWeights[updates][0];

// The chosen start, or where the way to it leaves the map.
const shownStart = ({ extent }) => start.map((w) => w * Math.min(1, extent / Math.max(...start.map(Math.abs), 1e-9)));

function startView(view) {
  const [lower, upper] = shownStart(view);
  const deep = view.train([lower, upper]);
  const shallow = view.trainShallow(lower * upper ** (view.depth - 1));
  return {
    ...view,
    chosen: deep.path,
    deepCurve: deep.loss,
    shallowCurve: shallow.loss,
    deepWeights: deep.weights,
    shallowWeights: shallow.weights,
  };
}

function label(id, words) {
  find(id).setAttribute("aria-valuetext", words);
  document.querySelector(`output[for=${id}]`).textContent = words;
}

function write({ stepSize, depth, shots, noiseStd, thetaMean }) {
  label("alpha", stepSize.toFixed(2));
  label("depth", `${depth} layers`);
  label("shots", shots === null ? "∞" : `${shots}`);
  label("noise", noiseStd.toFixed(2));
  label("mean", thetaMean.toFixed(1));
  const solo = document.body.classList.contains("solo");
  find("shallow-best").textContent = show(view.floor);
  find("deep-best").textContent = show(view.deepBest);
  find("no-step").textContent = show(view.noStep);
  find("noise-alone").textContent = show(noiseStd ** 2 / 2);
  find("learned-step").textContent = show(view.learnedStep);
  find("verdict").textContent = solo ? aloneWords(view) : verdict(view, { depth, stepSize, thetaMean, shots });
  find("live").innerHTML = `shallow <b>${show(view.floor)}</b>${solo ? "" : ` · <span class="deep">deep <b>${show(view.deepBest)}</b></span>`} · no step <b>${show(view.noStep)}</b>`;
  document.querySelector(".formula").textContent = `f(x) = ${layers(1, depth).reverse().join("")}x`;
  find("top").textContent = plain(view.top);
  find("projected").hidden = depth === 2;
  find("floor-legend").hidden = view.floorLine.length === 0;
  find("plane").textContent = depth === 2
    ? ""
    : "Shown: the plane on which all upper weights are equal, u. Gradient descent that starts on it stays on it. Where u is near 0 it is flat: starts there hardly move.";
}

function describe() {
  const [lower, upper] = shownStart(view).map((w) => w.toFixed(1));
  const [deepEnd, shallowEnd] = [view.deepCurve.at(-1), view.shallowCurve.at(-1)].map(show);
  const about = {
    relief: `Loss surface of the deep model in three dimensions, seen from ${Math.round((camera.turn * 180) / Math.PI)} degrees; lowest loss ${show(view.deepBest)}.`,
    map: `Map of the loss over the weights. Bold start at lower weight ${lower}, upper weight ${upper}; meta-training ends at loss ${deepEnd}.`,
    training: `Loss after adaptation against meta-training updates: the deep model ends at ${deepEnd}, the shallow model at ${shallowEnd}.`,
    shallow: `Loss after adaptation of the shallow model against its start: lowest ${show(view.floor)}; without a step ${show(view.noStep)}.${view.solo ? "" : ` The deep model reaches ${show(view.deepBest)}.`}`,
  };
  const w = shallowStart(view);
  const knob = { valuenow: w.toFixed(2), valuemin: (view.mean - WIDE).toFixed(1), valuemax: (view.mean + WIDE).toFixed(1), valuetext: `w = ${minus(w.toFixed(2))}, loss ${show(view.shallowAt(w))}` };
  for (const [name, value] of Object.entries(knob)) find("shallow").setAttribute(`aria-${name}`, value);
  for (const [id, words] of Object.entries(about)) find(id).setAttribute("aria-label", words);
}

// The share of the way that a step goes, to first order: by the upper weights alone where the lower is zero.
function writeShares({ depth, stepSize, deepWeights, updates }) {
  const [lower, upper] = deepWeights[updates];
  const c = new Array(depth);
  others(deepWeights[updates], c);
  const share = (stepSize * c.reduce((s, x) => s + x * x, 0)).toFixed(2);
  const [name, power] = depth === 2 ? ["w₂", "²"] : ["u", { 3: "⁴", 4: "⁶" }[depth]];
  find("shallow-share").textContent = `α = ${stepSize.toFixed(2)}`;
  const [low, up] = [lower, upper].map((w) => minus(w.toFixed(2)));
  const all = depth === 2 ? `w = (${low}, ${up}), α |w|² = ${share}` : `about ${share} of the way`;
  find("deep-share").textContent = Math.abs(lower) < 0.005 ? `${name} = ${up}, α ${name}${power} = ${share}` : all;
}

function writeTask({ theta, steps, updates }, points) {
  label("theta", minus(theta.toFixed(1)));
  label("steps", `${steps}`);
  label("updates", `${updates}`);
  find("redraw").disabled = points === null;
}

const stale = { problem: true, start: true };
let waiting = false;

function draw() {
  waiting = false;
  readTheme();
  find("bar").style.background = `linear-gradient(to right, ${theme.scale.map((c) => `rgb(${c})`)})`;
  if (stale.problem) view = problemView(settings());
  if (stale.problem || stale.start) view = startView(view);
  if (stale.problem) write(settings());
  stale.problem = stale.start = false;
  view.updates = taskSettings().updates;
  view.solo = document.body.classList.contains("solo");
  describe();
  drawRelief(find("relief"), view, camera);
  drawMap(find("map"), view);
  drawTraining(find("training"), view);
  drawShallow(find("shallow"), view);
  const arrows = arrowsView(view, settings(), seed);
  drawArrows(find("arrows"), view, arrows);
  writeArrows(view, arrows);
  const task = taskView(view, settings(), taskSettings());
  writeTask(taskSettings(), task.points);
  writeShares(view);
  drawTask(find("task-shallow"), task, task.shallow, theme.shallow);
  drawTask(find("task-deep"), task, task.deep, theme.deep);
  const classes = classView(settings(), classSettings());
  writeClasses(view.depth, classSettings(), classes);
  drawClasses(find("class-shallow"), classes, classes.shallow, theme.shallow);
  drawClasses(find("class-deep"), classes, classes.deep, theme.deep);
  writePlay();
  writeAddressSoon();
}

// Draw once before the next frame, however many events ask for it.
function update(what) {
  if (what) stale[what] = true;
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

listen();
openAddress();

// For tests, and for the browser's console.
window.toylin = {
  outerLoss, outerGrad, bestStarts, lowestLosses, verdict, labelHeights, readAddress, supportPoints,
  angleBetween, taskPull, adaptedClassifiers, classifierScore, bestUpper, cloudPoints,
  ruleUpdates: ({ weights, stepSize, ...tasks }) => ruleUpdates(weights, taskNodes(weights.length, tasks), stepSize),
  adaptedSlopes: (weights, points, stepSize, steps) => adaptedSlopes(weights, supportMoments(points), stepSize, steps),
  metaTrain: ({ weights, stepSize, rate, clip, updates, ...tasks }) =>
    metaTrain(weights, taskNodes(weights.length, tasks), stepSize, { rate, clip, updates }),
  shown: () => {
    const { deepBest, floor, noStep, learnedStep, top, extent, deepCurve, shallowCurve } = view;
    return { settings: settings(), start: shownStart(view), camera, top, extent, starts: view.best, task: taskView(view, settings(), taskSettings()), classes: classView(settings(), classSettings()), arrows: arrowsView(view, settings(), seed), deepBest, floor, noStep, learnedStep, deepCurve, shallowCurve };
  },
};
