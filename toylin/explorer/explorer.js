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
    stepSize: value("alpha"),
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
  const best = bestStarts(depth, stepSize, tasks);
  const extent = weightExtent(depth, Math.max(...best[0]));
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
  const floor = expectedLoss([mean], shallow, stepSize);
  const top = lossTop(floor);
  const upper = layers(2, depth).join(" = ");
  return {
    depth, mean, extent, top, grid, runs, best, floor, lossAt, train,
    scaled: (loss) => scaled(loss, top),
    deepBest: lossAt(best[0]),
    floorLine: contour(grid, floor, extent),
    trainShallow: (w) => metaTrain([w], shallow, stepSize, TRAINING),
    shallowLosses: Array.from({ length: 111 }, (_, k) => mean - 2.2 + 0.04 * k).map((w) => [w, expectedLoss([w], shallow, stepSize)]),
    upperLabel: depth === 2 ? "upper weight w₂" : `upper weights u = ${upper}`,
    upperShort: depth === 2 ? upper : "u",
  };
}

// The chosen start, or the nearest to it on the map.
const shownStart = ({ extent }) => start.map((w) => Math.min(Math.max(w, -extent), extent));

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

function verdict({ floor, deepBest, depth }) {
  const gain = floor - deepBest;
  const words = { 2: "Two", 3: "Three", 4: "Four" }[depth];
  if (gain < 0.005) return "This α suits the shallow model too. Turn it: only the deep model can make up for that.";
  return `${words} layers get ${show(gain)} lower than any one layer can, with the same functions.`;
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
  find("shallow-best").textContent = show(view.floor);
  find("deep-best").textContent = show(view.deepBest);
  find("verdict").textContent = verdict(view);
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
    shallow: `Loss after adaptation of the shallow model against its weight: lowest ${show(view.floor)}. The deep model reaches ${show(view.deepBest)}.`,
  };
  for (const [id, words] of Object.entries(about)) find(id).setAttribute("aria-label", words);
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
  describe();
  view.updates = taskSettings().updates;
  drawRelief(find("relief"), view, camera);
  drawMap(find("map"), view);
  drawTraining(find("training"), view);
  drawShallow(find("shallow"), view);
  const arrows = arrowsView(view, settings(), seed);
  drawArrows(find("arrows"), view, arrows);
  writeArrows(view, arrows);
  const task = taskView(view, settings(), taskSettings());
  writeTask(taskSettings(), task.points);
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

function rotate(turn, tilt) {
  camera.turn = (camera.turn + turn) % (2 * Math.PI);
  camera.tilt = Math.min(Math.max(camera.tilt + tilt, 0.15), 1.5);
  update();
}

function moveStart(lower, upper) {
  start = [lower, upper];
  update("start");
}

// The weights that a pointer on the map points at.
function pointedAt(map, { clientX, clientY }) {
  const { left, top } = map.getBoundingClientRect();
  const { width, height } = logicalSize(map);
  const box = mapBox(width, height);
  const share = (at, from, to) => view.extent * Math.min(Math.max((2 * (at - from)) / (to - from) - 1, -1), 1);
  return [share((clientX - left) / theme.type, box.left, box.right), share((clientY - top) / theme.type, box.bottom, box.top)];
}

// Whether it points at the bold start, as well as a finger can.
function isOnStart(map, at) {
  const reach = (24 * 2 * view.extent) / map.getBoundingClientRect().width;
  const [from, to] = [shownStart(view), pointedAt(map, at)];
  return Math.hypot(from[0] - to[0], from[1] - to[1]) < reach;
}

function nudge(right, up) {
  const [lower, upper] = shownStart(view);
  const step = 0.1 * tickStep(view.extent);
  moveStart(lower + step * right, upper + step * up);
}

function onKeys(canvas, keys) {
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function listen() {
  find("controls").addEventListener("input", () => update("problem"));
  find("task-controls").addEventListener("input", () => update());
  find("class-controls").addEventListener("input", () => update());
  for (const id of ["redraw", "redraw-classes"]) {
    find(id).addEventListener("click", () => {
      seed = (seed % MOST_SEED) + 1;
      update();
    });
  }
  for (const id of ["controls", "task-controls", "class-controls"]) find(id).addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => openAddress());
  listenToPlay();
  listenToChapters();
  find("controls").addEventListener("reset", () => {
    camera = { ...HOME };
    setTimeout(() => openSetting()); // the controls have their first values only after this event
  });

  const relief = find("relief");
  let held;
  relief.addEventListener("pointerdown", (event) => {
    relief.setPointerCapture(event.pointerId);
    held = [event.clientX, event.clientY];
  });
  relief.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
    if (!relief.hasPointerCapture(pointerId)) return;
    rotate(-0.01 * (clientX - held[0]), 0.008 * (clientY - held[1]));
    held = [clientX, clientY];
  });
  onKeys(relief, {
    ArrowLeft: () => rotate(0.1, 0),
    ArrowRight: () => rotate(-0.1, 0),
    ArrowUp: () => rotate(0, -0.06),
    ArrowDown: () => rotate(0, 0.06),
    Home: () => {
      camera = { ...HOME };
      update();
    },
  });

  const map = find("map");
  map.addEventListener("click", (event) => moveStart(...pointedAt(map, event)));
  let dragging = null;
  map.addEventListener("pointerdown", (event) => {
    // A finger that is put down elsewhere may be about to scroll; if it taps, it clicks.
    if (event.pointerType === "touch" && !isOnStart(map, event)) return;
    map.setPointerCapture(event.pointerId);
    dragging = event.pointerId;
  });
  map.addEventListener("pointermove", (event) => {
    if (event.pointerId === dragging) moveStart(...pointedAt(map, event));
  });
  for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, () => (dragging = null));
  const keepStill = (event) => isOnStart(map, event.touches[0]) && event.preventDefault();
  map.addEventListener("touchstart", keepStill, { passive: false });
  onKeys(map, {
    ArrowLeft: () => nudge(-1, 0),
    ArrowRight: () => nudge(1, 0),
    ArrowUp: () => nudge(0, 1),
    ArrowDown: () => nudge(0, -1),
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update());
  new ResizeObserver(() => update()).observe(find("stage"));
}

listen();
openAddress();

// For tests, and for the browser's console.
window.toylin = {
  outerLoss, outerGrad, bestStarts, labelHeights, readAddress, supportPoints,
  angleBetween, taskPull, adaptedClassifiers, classifierScore, bestUpper, cloudPoints,
  ruleUpdates: ({ weights, stepSize, ...tasks }) => ruleUpdates(weights, taskNodes(weights.length, tasks), stepSize),
  adaptedSlopes: (weights, points, stepSize, steps) => adaptedSlopes(weights, supportMoments(points), stepSize, steps),
  metaTrain: ({ weights, stepSize, rate, clip, updates, ...tasks }) =>
    metaTrain(weights, taskNodes(weights.length, tasks), stepSize, { rate, clip, updates }),
  shown: () => {
    const { deepBest, floor, top, extent, deepCurve, shallowCurve } = view;
    return { settings: settings(), start: shownStart(view), camera, top, extent, task: taskView(view, settings(), taskSettings()), classes: classView(settings(), classSettings()), arrows: arrowsView(view, settings(), seed), deepBest, floor, deepCurve, shallowCurve };
  },
};
